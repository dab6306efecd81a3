"""Fit the chosen point on all training rows and score it on the test rows."""

import json
import os
from pathlib import Path

from gridloom.analysis.cells import read_csv
from gridloom.analysis.selection import choose
from gridloom.errors import report_mistakes
from gridloom.identity.setup import Setup
from gridloom.workers.devices import require_devices, visible_devices
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

with report_mistakes(snakemake.log[0]):
    gpus = snakemake.resources.gpu
    devices = require_devices("refit", gpus, visible_devices(os.environ)) if gpus else []
    runs, summary = (
        read_csv(Path(file), {}) for file in (snakemake.input.runs, snakemake.input.summary)
    )
    choice = choose(runs, summary, snakemake.params.metric)
    model_file = Path(snakemake.input.model)
    set_libraries()
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.fitted.refit import refit, save, tell

        refitted = refit(
            choice,
            Setup.from_json(json.loads(snakemake.params.setup)),
            json.loads(snakemake.params.dataset),
            train_file=Path(snakemake.input.train),
            test_file=Path(snakemake.input.test),
            split_file=Path(snakemake.input.split),
            model_file=model_file,
        )
        save(refitted, model_file, Path(snakemake.output.about).parent)
    print(tell(refitted.about))
