"""List the records that the study does not use, or remove them."""

from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.workflow.prune import describe_unused, remove_records, unused_records

with report_mistakes(snakemake.log[0]):
    results = Path(snakemake.params.results)
    unused = unused_records(results, snakemake.params.used)
    if snakemake.params.removing:
        remove_records(results, unused)
    listing = describe_unused(unused, removed=snakemake.params.removing)
    Path(snakemake.log[0]).write_text("".join(f"{path}\n" for path in unused), encoding="utf-8")
    print(listing)
