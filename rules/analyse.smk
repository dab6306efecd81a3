"""Analyse: from records to tables.

Needs   <results>/points/<setup>/{point}/reps={first}-{last}.json
Makes   <results>/runs.csv, history.parquet, summary.csv
"""


# On a cluster, too short to queue for.
localrules:
    gather,


rule gather:
    """Read all records into one table of trainings, one of epochs, one of points."""
    input:
        records=lambda wildcards: records(),
        code=[
            script_of("gather"),
            *code(
                "analysis.cells", "analysis.divergence", "analysis.table", "records"
            ),
        ],
    output:
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
    log:
        f"{RESULTS}/logs/gather.log",
    threads: asks("gather", "threads", 1)
    resources:
        mem_mb=asks("gather", "mem_mb", 4000),
        runtime=asks("gather", "runtime", 60),
        gpu=asks("gather", "gpu", 0),
    params:
        hyperparameters=json.dumps(column_order(GRID)),
        repetitions=STUDY.repetitions,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        diverged_above=STUDY.objective.diverged_above,
    script:
        "../scripts/gather.py"
