"""Write the report: the whole study as one page for a browser."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.report.description import Description
from gridloom.report.page import Sources, write_report
from gridloom.study.schema import Study
from gridloom.workflow.failures import NO_MESSAGE, failed_records, is_interruption

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    study = Study.model_validate_json(params.study)
    Description(study, Path(params.confirmation)).write(Path(snakemake.output.study))
    causes = failed_records(study.results, params.get("missing", []), since=0.0)
    # Without a message, it may still run.
    failed = {
        record: cause
        for record, cause in causes.items()
        if cause != NO_MESSAGE and not is_interruption(cause)
    }
    write_report(
        Sources(
            runs=Path(given.runs),
            history=Path(given.history),
            summary=Path(given.summary),
            effects=Path(given.effects),
            best=Path(given.best),
            verdict=Path(given.verdict),
            following=Path(given.next),
            confirmed=Path(params.confirmed) if params.confirmed else None,
            data=Path(params.data),
            points=Path(params.points),
        ),
        study,
        Path(snakemake.output.page),
        arguments=json.loads(params.arguments),
        failed=failed,
    )
