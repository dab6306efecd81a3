"""Draw figures of the grid, and remove those of an earlier one."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
import sys
from pathlib import Path

from gridloom.analysis.cells import read_csv
from gridloom.analysis.pick import NothingToChooseError, read_pick
from gridloom.errors import GridloomError, report_mistakes
from gridloom.figures.earlier import remove_earlier
from gridloom.figures.grid import NO_FIGURE, draw_grid
from gridloom.figures.numbers import StudyNumbers
from gridloom.figures.wanted import Wanted

with report_mistakes(snakemake.log[0]):
    params = snakemake.params
    axes = json.loads(params.axes)
    files = [Path(path) for path in snakemake.output]
    summary = read_csv(Path(snakemake.input.summary), axes)
    try:
        confirmed = Path(params.confirmed) if params.confirmed else None
        pick = read_pick(Path(snakemake.input.best), confirmed, set(summary["point"])).point
    except NothingToChooseError:
        pick = None
    if not files:  # asked for by name
        raise GridloomError("the study's config asks for no such figures")
    draw_grid(
        StudyNumbers(
            summary=summary,
            # Only the line of a single axis draws trainings by their axis.
            runs=read_csv(Path(snakemake.input.runs), axes if len(axes) == 1 else {}),
            axes=axes,
            metric=params.metric,
            mode=params.mode,
            pick=pick,
            labels=json.loads(params.labels),
            to_scale=json.loads(params.to_scale),
        ),
        [Wanted(**heatmap) for heatmap in json.loads(params.wanted)],
        Path(snakemake.input.effects),
        title=params.title,
        dpi=params.dpi,
        files=files,
        processes=snakemake.threads,
    )
    remove_earlier(files[0].parent, [Path(path) for path in params.all])
    if not axes:
        print(NO_FIGURE, file=sys.stderr)
