"""Bring the raw data here and note where it came from."""

from pathlib import Path

from gridloom.data.settings import handed_over
from gridloom.data.sources import download, write_provenance
from gridloom.errors import told_in
from gridloom.study import Dataset

with told_in(snakemake.log[0]):
    dataset = Dataset.model_validate_json(snakemake.params.dataset)
    settings = handed_over()
    asked = [
        {"source": settings.source, "sha256": dataset.sha256, "member": dataset.member},
        {"source": settings.test_source, "sha256": dataset.test_sha256},
    ]
    write_provenance(
        Path(snakemake.output.provenance),
        [
            download(
                **one,
                format=snakemake.params.format,
                table=Path(table),
                limits=settings.limits,
            )
            for one, table in zip(asked, snakemake.output.tables, strict=False)
        ],
    )
