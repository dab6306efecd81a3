"""Write the finished study as a storage of Optuna."""

import json
from datetime import UTC, datetime
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.exports.extras import require_extra
from gridloom.identity.setup import Setup
from gridloom.results import Results
from gridloom.study.schema import Study
from gridloom.workers.process import output_to

with report_mistakes(snakemake.log[0]):
    require_extra("export_optuna")
    runs, params = Path(snakemake.input.runs), snakemake.params
    study = Study.model_validate_json(params.study)
    with output_to(snakemake.log[0]):
        from gridloom.exports.optuna import write_optuna

        held = write_optuna(
            Results(runs.parent, study, Path(params.confirmation)),
            study.grid.axes,
            Setup.from_json(json.loads(params.setup)),
            datetime.fromtimestamp(runs.stat().st_mtime, UTC),
            Path(snakemake.output[0]),
        )
    file = snakemake.output[0]
    print(f"{file}: {held}; look at them with `optuna-dashboard sqlite:///{file}`")
