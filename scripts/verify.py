"""Train the pick's records once more, and score it by its reserved repetitions."""

import json
import os
from pathlib import Path

import pandas as pd

from gridloom.analysis.divergence import default_bound
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.table import gather
from gridloom.analysis.verify import compare, describe_verified, score, write_verified
from gridloom.errors import report_mistakes
from gridloom.identity.setup import Setup
from gridloom.naming.blocks import FIRST_RESERVED, job_repetitions, point_of
from gridloom.naming.points import read_path
from gridloom.records import read_record, write_record
from gridloom.training.request import Request
from gridloom.workers.devices import require_devices, visible_devices
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    setup = Setup.from_json(json.loads(params.setup))
    gpus = snakemake.resources.gpu
    devices = require_devices("verify", gpus, visible_devices(os.environ)) if gpus else []
    set_libraries()
    pairs = []
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.training.trainer import Trainer

        trainer = Trainer()
        for record in map(Path, given.records):
            point = point_of(record)
            request = Request(
                setup=setup,
                hyperparameters=read_path(point),
                repetitions=tuple(job_repetitions(record)),
                rows_file=Path(given.train),
                split_file=Path(given.split),
                model_file=Path(given.model),
                # As then: both ways give the same results, but up to rounding only.
                lockstep=read_record(record).engine == "lockstep",
            )
            again = Path(snakemake.output.again, "points", setup.name, point, record.name)
            write_record(again, trainer.run(request))
            pairs.append((record, again))
    bound = params.diverged_above
    gathered = gather(
        [Path(path) for path in given.reserved],
        json.loads(params.hyperparameters),
        FIRST_RESERVED + sum(len(job_repetitions(Path(path))) for path in given.reserved),
        params.metric,
        params.mode,
        diverged_above=default_bound(pd.read_parquet(given.history)) if bound is None else bound,
    )
    pick = Pick.read(Path(given.pick))
    repeated = compare(pairs)
    reserved = score(observe(gathered.runs, {}, params.metric, params.mode))
    write_verified(Path(snakemake.output.verified), pick, setup.name, repeated, reserved)
    print(describe_verified(pick, repeated, reserved))
