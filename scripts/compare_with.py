"""Compare the trainings of today's set-up with those of another one."""

import json
from pathlib import Path

from gridloom.analysis.cells import write_csv
from gridloom.analysis.certainty import default_close_enough
from gridloom.analysis.change import describe_compared, read_change
from gridloom.analysis.compare import compare, gather_both
from gridloom.data.scoring import Scoring
from gridloom.errors import report_mistakes
from gridloom.figures.gains import draw_comparison
from gridloom.figures.page import Subject
from gridloom.files import write_text
from gridloom.records import read_record
from gridloom.workflow.setups import describe_changes

with report_mistakes(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    axes, metric, mode = json.loads(params.axes), params.metric, params.mode
    before, now = gather_both(
        [Path(path) for path in params.before],
        [Path(path) for path in params.now],
        json.loads(params.hyperparameters),
        params.repetitions,
        metric,
        mode,
        params.diverged_above,
    )
    setup, other = json.loads(params.setup), read_record(Path(params.before[0])).setup
    change = read_change(snakemake.wildcards.setup, other, setup, describe_changes(other, setup))
    scoring = Scoring.read(Path(params.split), json.loads(params.validation), params.redrawn)
    same_rows = change.same_rows
    compared = compare(before.runs, now.runs, axes, metric, mode, scoring, same_rows=same_rows)
    close = params.close_enough or default_close_enough(now.runs, metric, mode, scoring)
    draw_comparison(
        compared,
        Subject(params.title, axes, metric, mode, json.loads(params.labels)),
        dpi=params.dpi,
        files=[Path(path) for path in output.figures],
    )
    write_csv(compared.by_point, Path(output.table))
    write_csv(compared.by_value, Path(output.values))
    text = describe_compared(
        compared,
        change,
        title=params.title,
        metric=metric,
        close_enough=close,
        folder=str(Path(output.report).parent),
    )
    write_text(Path(output.report), text)
