"""Figures: from tables to pictures.

Needs   <results>/summary.csv, runs.csv, history.parquet, effects.csv, best.yaml, baselines.csv;
        the rounds of a confirmation
Makes   <results>/figures/heatmap_<a>_x_<b>_<mean|best|slice>.{png,svg}; line_<a>.{png,svg} of one
        axis, no_figure.txt of none; ties, curves, curves_<a>, effects, interactions, cost,
        stability, pairs, whole_grid.{png,svg}; on request <results>/figures/lattice_<a>_x_<b>,
        <results>/confirm/<fingerprint>/rounds.{png,svg}
"""


# Too short for the queue of a cluster.
localrules:
    heatmaps,
    further_heatmaps,
    figures,
    lattice,
    confirm_figure,


# A param: all heatmaps of the study.
HEATMAPS = verbatim(json.dumps([asdict(heatmap) for heatmap in RUN.heatmaps()]))


rule heatmaps:
    """Draw a heatmap of means for each pair of axes, or a line of one axis."""
    input:
        summary=f"{RESULTS}/summary.csv",
        runs=f"{RESULTS}/runs.csv",
        effects=f"{RESULTS}/effects.csv",
        best=f"{RESULTS}/best.yaml",
        code=code("heatmaps"),
    output:
        ADAPTER.figures(RUN.first_figures(f"{RESULTS}/figures"), "heatmap", "Heatmaps"),
    log:
        f"{RESULTS}/logs/heatmaps.log",
    threads: asks("heatmaps", "threads")
    resources:
        mem_mb=asks("heatmaps", "mem_mb"),
        runtime=asks("heatmaps", "runtime"),
        gpu=asks("heatmaps", "gpu"),
    params:
        axes=AXES,
        wanted=HEATMAPS,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        labels=verbatim(json.dumps(STUDY.figures.labels)),
        to_scale=json.dumps(RUN.to_scale),
        dpi=STUDY.figures.dpi,
        all=RUN.all_figures(f"{RESULTS}/figures"),
        # No input: it is not made again for a figure.
        confirmed=RUN.confirmed,
        content=fingerprint(filter(None, [RUN.confirmed])),
    script:
        "../scripts/heatmaps.py"


use rule heatmaps as further_heatmaps with:
    input:
        summary=f"{RESULTS}/summary.csv",
        runs=f"{RESULTS}/runs.csv",
        effects=f"{RESULTS}/effects.csv",
        best=f"{RESULTS}/best.yaml",
        # Those of means come first; their age does not matter.
        first=ancient(RUN.first_figures(f"{RESULTS}/figures")),
        code=code("heatmaps"),
    output:
        ADAPTER.figures(
            RUN.further_figures(f"{RESULTS}/figures"), "heatmap", "Heatmaps"
        ),
    log:
        f"{RESULTS}/logs/further_heatmaps.log",
    # The other figures take longer, so they begin before.
    priority: -2
    threads: asks("figures", "threads")
    resources:
        mem_mb=asks("figures", "mem_mb"),
        runtime=asks("figures", "runtime"),
        gpu=asks("figures", "gpu"),


rule figures:
    """Draw the figures of the evidence: one job reads the tables once."""
    input:
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
        effects=f"{RESULTS}/effects.csv",
        best=f"{RESULTS}/best.yaml",
        baselines=RUN.baselines,
        code=code("figures"),
    output:
        ADAPTER.figures(
            RUN.evidence_figures(f"{RESULTS}/figures"), "evidence", "Evidence"
        ),
    log:
        f"{RESULTS}/logs/figures.log",
    # The heatmaps of means come first.
    priority: -1
    threads: asks("figures", "threads")
    resources:
        mem_mb=asks("figures", "mem_mb"),
        runtime=asks("figures", "runtime"),
        gpu=asks("figures", "gpu"),
    params:
        axes=AXES,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        labels=verbatim(json.dumps(STUDY.figures.labels)),
        dpi=STUDY.figures.dpi,
        all=RUN.all_figures(f"{RESULTS}/figures"),
        # No input: it is not made again for a figure.
        confirmed=RUN.confirmed,
        content=fingerprint(filter(None, [RUN.confirmed])),
    script:
        "../scripts/figures.py"


rule lattice:
    """Draw the grid of each pair of axes, before anything is trained."""
    input:
        code=code("lattice"),
    output:
        RUN.lattice_figures(f"{RESULTS}/figures"),
    log:
        f"{RESULTS}/logs/lattice.log",
    threads: asks("figures", "threads")
    resources:
        mem_mb=asks("figures", "mem_mb"),
        runtime=asks("figures", "runtime"),
        gpu=asks("figures", "gpu"),
    params:
        axes=AXES,
        points=lambda wildcards: json.dumps(RUN.values_of_points()),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        labels=verbatim(json.dumps(STUDY.figures.labels)),
        to_scale=json.dumps(RUN.to_scale),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/lattice.py"


rule confirm_figure:
    """Draw who was left after each round of a confirmation."""
    input:
        best=RUN.confirmed_pick,
        rounds=ADAPTER.rounds,
        code=code("confirm_figure"),
    output:
        RUN.confirm_figures,
    log:
        f"{RESULTS}/logs/confirm_figure.log",
    threads: asks("figures", "threads")
    resources:
        mem_mb=asks("figures", "mem_mb"),
        runtime=asks("figures", "runtime"),
        gpu=asks("figures", "gpu"),
    params:
        axes=AXES,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        title=verbatim(STUDY.name),
        labels=verbatim(json.dumps(STUDY.figures.labels)),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/confirm_figure.py"
