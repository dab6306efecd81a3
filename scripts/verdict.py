"""Say in a few sentences what the study found, and what to try next."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
from pathlib import Path

from gridloom.analysis.baselines import describe_baselines, read_baselines
from gridloom.analysis.cells import read_csv
from gridloom.analysis.next import write_next
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import NothingToChooseError, read_pick
from gridloom.analysis.verdict import describe_nothing, describe_verdict, weigh
from gridloom.analysis.verify import Verified, describe_briefly
from gridloom.errors import report_mistakes
from gridloom.files import write_text

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    axes, metric, mode = json.loads(params.axes), params.metric, params.mode
    runs, summary = (read_csv(Path(file), axes) for file in (given.runs, given.summary))
    observations = observe(runs, axes, metric, mode)
    trainings, seconds = params.trainings, float(summary["seconds_mean"].mean())
    try:
        confirmed = Path(params.confirmed) if params.confirmed else None
        pick = read_pick(Path(given.best), confirmed, set(summary["point"]))
    except NothingToChooseError as nothing:
        why = "; ".join(nothing.problems)
        text, found = describe_nothing(params.name, why, axes, summary), []
    else:
        verified = Verified.read(Path(params.verified)) if params.verified else None
        if verified is not None and verified.is_about(pick, params.setup):
            baselines = describe_baselines(verified.baselines, mode, reserved=True)
            checked = describe_briefly(verified)
        else:
            objective = observations.objective(pick.point)
            measured = read_baselines(map(Path, given.baselines), metric, mode, objective)
            baselines = describe_baselines(measured, mode, reserved=False)
            checked = None
        evidence = weigh(
            params.name,
            observations,
            summary,
            pick,
            numbers=json.loads(params.numbers),
            trainings=trainings,
            seconds=seconds,
            baselines=baselines,
            verified=checked,
        )
        text, found = describe_verdict(evidence), evidence.ends
    write_next(found, trainings, seconds, Path(snakemake.output.next))
    write_text(Path(snakemake.output.verdict), text)
