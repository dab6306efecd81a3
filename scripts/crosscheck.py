"""Train a sample of points by scikit-learn's GridSearchCV and compare its scores."""

import json
import os
from pathlib import Path

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import Pick
from gridloom.errors import report_mistakes
from gridloom.files import write_text
from gridloom.identity.setup import Setup
from gridloom.workers.devices import require_devices, visible_devices
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

with report_mistakes(snakemake.log[0]):
    gpus = snakemake.resources.gpu
    devices = require_devices("crosscheck", gpus, visible_devices(os.environ)) if gpus else []
    axes, metric = json.loads(snakemake.params.axes), snakemake.params.metric
    runs = read_csv(Path(snakemake.input.runs), axes)
    pick = Pick.read(Path(snakemake.input.best))
    setup = Setup.from_json(json.loads(snakemake.params.setup))
    set_libraries(setup.onednn)
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.crosscheck import TrainedOn, crosscheck, report

        compared = crosscheck(
            observe(runs, axes, metric, snakemake.params.mode),
            TrainedOn.read(
                setup,
                rows_file=Path(snakemake.input.train),
                split_file=Path(snakemake.input.split),
                model_file=Path(snakemake.input.model),
            ),
            metric,
            points=snakemake.params.points,
            repetitions=snakemake.params.repetitions,
        )
    write_csv(compared, Path(snakemake.output.table))
    write_text(
        snakemake.output.report, report(compared, metric, pick.close_enough, pick.configurations)
    )
