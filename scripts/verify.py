"""Train the pick's records once more, and score it by its reserved repetitions."""

import json
import os
from pathlib import Path

import pandas as pd

from gridloom.analysis.baselines import describe_baselines, summarize_baselines
from gridloom.analysis.divergence import default_bound
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.table import gather
from gridloom.analysis.verify import compare, describe_verified, score, write_verified
from gridloom.errors import report_mistakes
from gridloom.identity.setup import Setup
from gridloom.naming.blocks import FIRST_RESERVED, job_repetitions
from gridloom.naming.points import read_path
from gridloom.training.request import Request
from gridloom.workers.devices import require_devices, visible_devices
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    setup = Setup.from_json(json.loads(params.setup))
    gpus = snakemake.resources.gpu
    devices = require_devices("verify", gpus, visible_devices(os.environ)) if gpus else []
    pick = Pick.read(Path(given.pick))
    request = Request(
        setup=setup,
        hyperparameters=read_path(pick.point),
        repetitions=tuple(
            repetition for path in given.reserved for repetition in job_repetitions(Path(path))
        ),
        rows_file=Path(given.train),
        split_file=Path(given.split),
        model_file=Path(given.model),
        objective=params.metric,
    )
    set_libraries()
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.baselines.measure import measure_baselines
            from gridloom.training.again import train_again

        pairs = train_again(map(Path, given.records), request, Path(snakemake.output.again))
        baselines = measure_baselines(json.loads(params.baselines), request)
    bound = params.diverged_above
    gathered = gather(
        [Path(path) for path in given.reserved],
        json.loads(params.hyperparameters),
        FIRST_RESERVED + len(request.repetitions),
        params.metric,
        params.mode,
        diverged_above=default_bound(pd.read_parquet(given.history)) if bound is None else bound,
    )
    repeated = compare(pairs)
    observed = observe(gathered.runs, {}, params.metric, params.mode)
    reserved = score(observed)
    compared = summarize_baselines(
        baselines, params.metric, params.mode, observed.objective(pick.point)
    )
    verified = Path(snakemake.output.verified)
    write_verified(verified, pick, setup.name, repeated, reserved, compared)
    print(describe_verified(pick, repeated, reserved))
    beside = describe_baselines(compared, params.mode, reserved=True)
    if beside is not None:
        print(f"baselines   {beside}")
