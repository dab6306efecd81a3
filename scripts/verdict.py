"""Say in a few sentences what the study found, and what to try next."""

import json
from pathlib import Path

from gridloom.analysis.baselines import describe_baselines, summarize_baselines
from gridloom.analysis.cells import read_csv
from gridloom.analysis.next import write_next
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.verdict import describe_verdict, weigh
from gridloom.errors import report_mistakes
from gridloom.files import write_text

with report_mistakes(snakemake.log[0]):
    axes = json.loads(snakemake.params.axes)
    runs, summary = (
        read_csv(Path(file), axes) for file in (snakemake.input.runs, snakemake.input.summary)
    )
    metric, mode = snakemake.params.metric, snakemake.params.mode
    observations = observe(runs, axes, metric, mode)
    pick = Pick.read(Path(snakemake.input.best))
    baselines = [
        baseline
        for file in snakemake.input.baselines
        for baseline in summarize_baselines(
            read_csv(Path(file), {}), metric, mode, observations.objective(pick.point)
        )
    ]
    evidence = weigh(
        snakemake.params.name,
        observations,
        summary,
        pick,
        numbers=json.loads(snakemake.params.numbers),
        trainings=snakemake.params.trainings,
        baselines=describe_baselines(baselines, mode),
    )
    write_next(evidence.ends, evidence.trainings, evidence.seconds, Path(snakemake.output.next))
    write_text(Path(snakemake.output.verdict), describe_verdict(evidence))
