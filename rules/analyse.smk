"""Analyse: from records to tables, and from tables to an answer.

Needs   <results>/points/<setup>/{point}/reps={first}-{last}.json
Makes   <results>/runs.csv, history.parquet, summary.csv, effects.csv, divergence.csv,
        cv_results.csv, best.yaml, verdict.md, next.yaml
"""


# Too short for the queue of a cluster.
localrules:
    gather,
    analyse,
    verdict,


rule gather:
    """Gather all records into three tables: of trainings, of epochs, of points."""
    input:
        records=records,
        code=code("gather"),
    output:
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
    log:
        f"{RESULTS}/logs/gather.log",
    threads: asks("gather", "threads")
    resources:
        mem_mb=asks("gather", "mem_mb"),
        runtime=asks("gather", "runtime"),
        gpu=asks("gather", "gpu"),
    params:
        hyperparameters=json.dumps(column_order(RUN.grid)),
        repetitions=STUDY.repetitions,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        diverged_above=STUDY.objective.diverged_above,
        # No input: finished trainings outlive their data.
        split=f"{DATA}/split.json",
        validation=STUDY.validation.model_dump_json(),
        redrawn="validation" in STUDY.vary,
    script:
        "../scripts/gather.py"


rule analyse:
    """Find what explains the differences, and choose a configuration."""
    input:
        runs=f"{RESULTS}/runs.csv",
        summary=f"{RESULTS}/summary.csv",
        code=code("analyse"),
    output:
        effects=f"{RESULTS}/effects.csv",
        divergence=f"{RESULTS}/divergence.csv",
        cv_results=f"{RESULTS}/cv_results.csv",
        best=f"{RESULTS}/best.yaml",
    log:
        f"{RESULTS}/logs/analyse.log",
    threads: asks("analyse", "threads")
    resources:
        mem_mb=asks("analyse", "mem_mb"),
        runtime=asks("analyse", "runtime"),
        gpu=asks("analyse", "gpu"),
    params:
        axes=verbatim(json.dumps(axis_texts(RUN.grid))),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        cost=verbatim(json.dumps(STUDY.pick.cost)),
        close_enough=STUDY.pick.close_enough,
        # No input: finished trainings outlive their data.
        split=f"{DATA}/split.json",
        validation=verbatim(STUDY.validation.model_dump_json()),
        redrawn="validation" in STUDY.vary,
    script:
        "../scripts/analyse.py"


rule verdict:
    """Say in a few sentences what the study found, and what to try next."""
    input:
        runs=f"{RESULTS}/runs.csv",
        summary=f"{RESULTS}/summary.csv",
        best=f"{RESULTS}/best.yaml",
        code=code("verdict"),
    output:
        verdict=f"{RESULTS}/verdict.md",
        next=f"{RESULTS}/next.yaml",
    log:
        f"{RESULTS}/logs/verdict.log",
    threads: asks("verdict", "threads")
    resources:
        mem_mb=asks("verdict", "mem_mb"),
        runtime=asks("verdict", "runtime"),
        gpu=asks("verdict", "gpu"),
    params:
        axes=verbatim(json.dumps(axis_texts(RUN.grid))),
        numbers=verbatim(json.dumps(axis_numbers(RUN.grid))),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        name=verbatim(STUDY.name),
        trainings=STUDY.repetitions * RUN.folds,
    script:
        "../scripts/verdict.py"
