"""Read all records into one table of trainings, one of epochs, one of points."""

import json
import sys
from pathlib import Path

from gridloom.analysis.table import gather, tell_versions, write_tables
from gridloom.errors import told_in

with told_in(snakemake.log[0]):
    gathered = gather(
        [Path(path) for path in snakemake.input.get("records", snakemake.params.get("records"))],
        json.loads(snakemake.params.hyperparameters),
        snakemake.params.repetitions,
        snakemake.params.metric,
        snakemake.params.mode,
        wanted=snakemake.params.get("trainings"),
    )
    write_tables(
        gathered,
        Path(snakemake.output.runs),
        Path(snakemake.output.history),
        Path(snakemake.output.summary),
    )
    mixed = tell_versions(gathered.versions)
    if mixed:
        print(mixed, file=sys.stderr)
