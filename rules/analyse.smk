"""Analyse: from records to tables.

Needs   <results>/points/<setup>/{point}/reps={first}-{last}.json
Makes   <results>/runs.csv, history.parquet, summary.csv
"""


# Too short for the queue of a cluster.
localrules:
    gather,


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
    script:
        "../scripts/gather.py"
