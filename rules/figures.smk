"""Figures: from tables to pictures.

Needs   <results>/summary.csv, runs.csv
Makes   <results>/figures/heatmap_<a>_x_<b>_<mean|slice>.{png,svg}; line_<a>.{png,svg} of one axis,
        no_figure.txt of none
"""


# Too short for the queue of a cluster.
localrules:
    heatmaps,


rule heatmaps:
    """Draw a heatmap of each pair of axes and the slices of the study, or a line of one axis."""
    input:
        summary=f"{RESULTS}/summary.csv",
        runs=f"{RESULTS}/runs.csv",
        code=code("heatmaps"),
    output:
        RUN.grid_figures(f"{RESULTS}/figures"),
    log:
        f"{RESULTS}/logs/heatmaps.log",
    threads: asks("heatmaps", "threads")
    resources:
        mem_mb=asks("heatmaps", "mem_mb"),
        runtime=asks("heatmaps", "runtime"),
        gpu=asks("heatmaps", "gpu"),
    params:
        axes=verbatim(json.dumps(axis_texts(RUN.grid))),
        slices=verbatim(json.dumps(RUN.slices())),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/heatmaps.py"
