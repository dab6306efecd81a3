"""Read all records into one table of trainings, one of epochs, one of points."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
import sys
from dataclasses import replace
from pathlib import Path

from gridloom.analysis.certainty import certainty, with_certainty
from gridloom.analysis.table import describe_exploded, describe_versions, gather, write_tables
from gridloom.data.scoring import Scoring
from gridloom.errors import report_mistakes

with report_mistakes(snakemake.log[0]):
    metric, mode = snakemake.params.metric, snakemake.params.mode
    gathered = gather(
        [Path(path) for path in snakemake.input.get("records", snakemake.params.get("records"))],
        json.loads(snakemake.params.hyperparameters),
        snakemake.params.repetitions,
        metric,
        mode,
        wanted=snakemake.params.get("trainings"),
        diverged_above=snakemake.params.diverged_above,
    )
    scoring = Scoring.read(
        Path(snakemake.params.split),
        json.loads(snakemake.params.validation),
        snakemake.params.redrawn,
    )
    found = certainty(gathered.runs, metric, mode, scoring)
    write_tables(
        replace(gathered, summary=with_certainty(gathered.summary, found)),
        Path(snakemake.output.runs),
        Path(snakemake.output.history),
        Path(snakemake.output.summary),
    )
    notes = [describe_exploded(gathered), describe_versions(gathered.versions), *found.notes]
    for message in filter(None, notes):
        print(message, file=sys.stderr)
