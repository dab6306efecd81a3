"""Write the finished study as a store of MLflow."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.exports.extras import require_extra
from gridloom.identity.setup import Setup
from gridloom.results import Results
from gridloom.study.schema import Study
from gridloom.workers.process import output_to

with report_mistakes(snakemake.log[0]):
    require_extra("export_mlflow")
    runs, params = Path(snakemake.input.runs), snakemake.params
    study = Study.model_validate_json(params.study)
    with output_to(snakemake.log[0]):
        from gridloom.exports.mlflow import write_mlflow

        held = write_mlflow(
            Results(runs.parent, study, Path(params.confirmation)),
            list(study.grid.axes),
            Setup.from_json(json.loads(params.setup)),
            datetime.fromtimestamp(runs.stat().st_mtime, UTC),
            Path(snakemake.output[0]),
        )
    file, mlflow = snakemake.output[0], f"mlflow=={version('mlflow-skinny')}"
    command = (
        f"python3 -m uv tool run --from {mlflow} mlflow ui --backend-store-uri sqlite:///{file}"
    )
    print(f"{file}: {held}; look at them with `{command}`")
