"""Fit the pick on all training rows, score it on the test rows, and note the look at them."""

import json
import os
from pathlib import Path

from gridloom.analysis.pick import Pick
from gridloom.errors import report_mistakes
from gridloom.files import write_text
from gridloom.identity.setup import Setup
from gridloom.study.dataset import Dataset
from gridloom.workers.devices import require_devices, visible_devices
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

with report_mistakes(snakemake.log[0]):
    gpus = snakemake.resources.gpu
    devices = require_devices("refit", gpus, visible_devices(os.environ)) if gpus else []
    pick = Pick.read(Path(snakemake.input.best))
    model_file = Path(snakemake.input.model)
    setup = Setup.from_json(json.loads(snakemake.params.setup))
    set_libraries(setup.onednn)
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.fitted.readme import describe_fit
            from gridloom.fitted.refit import publish, refit

        refitted = refit(
            pick,
            setup,
            Dataset.model_validate_json(snakemake.params.dataset),
            train_file=Path(snakemake.input.train),
            test_file=Path(snakemake.input.test),
            split_file=Path(snakemake.input.split),
            model_file=model_file,
        )
        looks = publish(
            refitted,
            model_file,
            Path(snakemake.output.card).parent,
            looks_file=Path(snakemake.params.looks),
            figures=[Path(file) for file in snakemake.output.figures],
            title=snakemake.params.title,
            dpi=snakemake.params.dpi,
        )
    write_text(snakemake.output.report, f"{describe_fit(refitted.card, looks)}\n")
