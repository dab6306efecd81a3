"""Bring the raw data here and note where it came from."""

from pathlib import Path

from gridloom.data.sources import download
from gridloom.errors import told_in

with told_in(snakemake.log[0]):
    download(
        snakemake.params.source,
        snakemake.params.sha256,
        table=Path(snakemake.output.table),
        provenance=Path(snakemake.output.provenance),
    )
