"""Train the pick's records once more, and score it by its reserved repetitions."""

import json
import os
from pathlib import Path

from gridloom.analysis.divergence import read_bound
from gridloom.analysis.pick import Pick
from gridloom.analysis.verify import describe_verified, observe_reserved, verify
from gridloom.errors import report_mistakes
from gridloom.files import write_text
from gridloom.identity.setup import Setup
from gridloom.naming.blocks import job_repetitions
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
        hyperparameters=pick.hyperparameters,
        repetitions=tuple(
            repetition for path in given.reserved for repetition in job_repetitions(Path(path))
        ),
        rows_file=Path(given.train),
        split_file=Path(given.split),
        model_file=Path(given.model),
        objective=params.metric,
    )
    set_libraries(setup.onednn)
    with output_to(snakemake.log[0]):
        with loading():
            set_devices(snakemake.threads, devices)
            from gridloom.baselines.measure import measure_baselines
            from gridloom.training.again import train_again

        pairs = train_again(map(Path, given.records), request, Path(snakemake.output.again))
        baselines = measure_baselines(json.loads(params.baselines), request)
    reserved = observe_reserved(
        [Path(path) for path in given.reserved],
        pick,
        read_bound(params.diverged_above, Path(given.history)),
    )
    verified = verify(pick, setup.name, pairs, reserved, baselines)
    verified.write(Path(snakemake.output.verified))
    write_text(snakemake.output.report, f"{describe_verified(verified, pick)}\n")
