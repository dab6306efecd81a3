"""Compare: the study as it is now beside an earlier set-up of it, from records that exist.

Needs   records of two set-ups in <results>/points; no run depends on it
Makes   <results>/compare/<set-up>/compare.csv, values.csv, compare.md, gains.{png,svg}
"""


# Too short for the queue of a cluster.
localrules:
    compare,
    compare_with,


rule compare:
    """Say what has changed since the set-up that was used before; train nothing."""
    input:
        ADAPTER.comparison,


rule compare_with:
    """Compare the trainings of today's set-up with those of another one."""
    input:
        code=code("compare_with"),
    output:
        table=f"{RESULTS}/compare/{{setup}}/compare.csv",
        values=f"{RESULTS}/compare/{{setup}}/values.csv",
        report=f"{RESULTS}/compare/{{setup}}/compare.md",
        figures=RUN.gain_figures(f"{RESULTS}/compare/{{setup}}"),
    log:
        f"{RESULTS}/logs/compare_with={{setup}}.log",
    threads: asks("analyse", "threads")
    resources:
        mem_mb=asks("analyse", "mem_mb"),
        runtime=asks("analyse", "runtime"),
        gpu=asks("analyse", "gpu"),
    params:
        # Not inputs: Snakemake would train what is missing.
        before=lambda wildcards: RUN.records_with(wildcards.setup),
        now=lambda wildcards: RUN.coverage.existing,
        newest=lambda wildcards: max(
            map(
                os.path.getmtime,
                RUN.records_with(wildcards.setup) + RUN.coverage.existing,
            ),
            default=0,
        ),
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        hyperparameters=json.dumps(STUDY.grid.columns),
        repetitions=STUDY.repetitions,
        axes=AXES,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        diverged_above=STUDY.objective.diverged_above,
        close_enough=STUDY.pick.close_enough,
        # No input, because the data of finished trainings may be lost.
        split=f"{DATA}/split.json",
        validation=verbatim(STUDY.validation.model_dump_json()),
        redrawn="validation" in STUDY.vary,
        title=verbatim(STUDY.name),
        labels=verbatim(json.dumps(STUDY.figures.labels)),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/compare_with.py"
