"""Read all records into one table of trainings, one of epochs, one of points."""

import json
import sys
from pathlib import Path

from gridloom.analysis.table import gather, describe_exploded, describe_versions, write_tables
from gridloom.errors import report_mistakes

with report_mistakes(snakemake.log[0]):
    gathered = gather(
        [Path(path) for path in snakemake.input.get("records", snakemake.params.get("records"))],
        json.loads(snakemake.params.hyperparameters),
        snakemake.params.repetitions,
        snakemake.params.metric,
        snakemake.params.mode,
        wanted=snakemake.params.get("trainings"),
        diverged_above=snakemake.params.diverged_above,
    )
    write_tables(
        gathered,
        Path(snakemake.output.runs),
        Path(snakemake.output.history),
        Path(snakemake.output.summary),
    )
    for message in (describe_exploded(gathered), describe_versions(gathered.versions)):
        if message:
            print(message, file=sys.stderr)
