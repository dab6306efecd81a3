"""Figures: from tables to pictures.

Needs   <results>/summary.csv
Makes   <results>/figures/heatmap_<a>_x_<b>_<mean|slice>.{png,svg}
"""


# On a cluster, too short to queue for.
localrules:
    heatmaps,


rule heatmaps:
    """Draw a heatmap of every pair of axes, and those that the study asks for."""
    input:
        summary=f"{RESULTS}/summary.csv",
        code=[
            script_of("heatmaps"),
            *code(
                "analysis.adjusted",
                "analysis.cells",
                "analysis.selection",
                "figures.heatmaps",
                "figures.style",
            ),
        ],
    output:
        expand(
            f"{RESULTS}/figures/{{name}}.{{format}}",
            name=heatmap_names(),
            format=STUDY.figures.formats,
        ),
    log:
        f"{RESULTS}/logs/heatmaps.log",
    threads: asks("heatmaps", "threads", 4)
    resources:
        mem_mb=asks("heatmaps", "mem_mb", 2000),
        runtime=asks("heatmaps", "runtime", 30),
        gpu=asks("heatmaps", "gpu", 0),
    params:
        axes=verbatim(json.dumps(axis_texts(GRID))),
        slices=verbatim(json.dumps(slices())),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/heatmaps.py"
