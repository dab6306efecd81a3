"""Download the raw data and note where it came from."""

import json
from pathlib import Path

from gridloom.data.settings import handed_over
from gridloom.data.sources import download, write_provenance
from gridloom.data.versions import check_version
from gridloom.errors import report_mistakes
from gridloom.study.dataset import Dataset

with report_mistakes(snakemake.log[0]):
    dataset = Dataset.model_validate_json(snakemake.params.dataset)
    settings = handed_over(snakemake.output.provenance)
    asked = [
        {"source": settings.source, "sha256": dataset.sha256, "member": dataset.member},
        {"source": settings.test_source, "sha256": dataset.test_sha256},
    ]
    planned = json.loads(snakemake.params.planned)
    notes = []
    for one, table, sum_ in zip(asked, snakemake.output.tables, planned, strict=False):
        notes.append(
            download(
                **one,
                format=snakemake.params.format,
                table=Path(table),
                limits=settings.limits,
            )
        )
        check_version(
            one["source"],
            one["sha256"],
            notes[-1]["sha256"],
            planned=sum_,
            file=Path(snakemake.params.versions),
        )
    write_provenance(Path(snakemake.output.provenance), notes)
