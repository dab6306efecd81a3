"""Analyse: from records to tables, and from tables to an answer.

Needs   <results>/points/<setup>/{point}/reps={first}-{last}.json
Makes   <results>/runs.csv, history.parquet, summary.csv, effects.csv, divergence.csv,
        cv_results.csv, baselines.csv, best.yaml, verdict.md, next.yaml
"""


# Too short for the queue of a cluster.
localrules:
    gather,
    analyse,
    verdict,
    baselines,


rule gather:
    """Gather all records into three tables: of trainings, of epochs, of points."""
    input:
        records=records,
        code=code("gather"),
    output:
        runs=shown(f"{RESULTS}/runs.csv", "table", "Tables"),
        history=f"{RESULTS}/history.parquet",
        summary=shown(f"{RESULTS}/summary.csv", "table", "Tables"),
    log:
        f"{RESULTS}/logs/gather.log",
    threads: asks("gather", "threads")
    resources:
        mem_mb=asks("gather", "mem_mb"),
        runtime=asks("gather", "runtime"),
        gpu=asks("gather", "gpu"),
    params:
        hyperparameters=json.dumps(STUDY.grid.columns),
        repetitions=STUDY.repetitions,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        diverged_above=STUDY.objective.diverged_above,
        # No input, because the data of finished trainings may be lost.
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
        effects=shown(f"{RESULTS}/effects.csv", "table", "Tables"),
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
        axes=AXES,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        cost=verbatim(json.dumps(STUDY.pick.cost)),
        close_enough=STUDY.pick.close_enough,
        # No input, because the data of finished trainings may be lost.
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
        baselines=RUN.baselines,
        code=code("verdict"),
    output:
        verdict=shown(f"{RESULTS}/verdict.md", "verdict", "Report"),
        next=f"{RESULTS}/next.yaml",
    log:
        f"{RESULTS}/logs/verdict.log",
    threads: asks("verdict", "threads")
    resources:
        mem_mb=asks("verdict", "mem_mb"),
        runtime=asks("verdict", "runtime"),
        gpu=asks("verdict", "gpu"),
    params:
        axes=AXES,
        numbers=verbatim(json.dumps(STUDY.grid.numbers)),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        name=verbatim(STUDY.name),
        trainings=STUDY.repetitions * RUN.folds,
        # No inputs, because the verdict reports what exists, and makes nothing anew.
        confirmed=RUN.confirmed,
        verified=RUN.verified,
        content=fingerprint(filter(None, [RUN.confirmed, RUN.verified])),
        setup=RUN.identity.setup.name,
    script:
        "../scripts/verdict.py"


rule baselines:
    """Fit simple models on the networks' rows and score them by the networks' metric."""
    input:
        # Their age does not matter: their folder's name is a fingerprint of their content.
        rows=ancient(f"{DATA}/train.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=code("baselines"),
    output:
        table=f"{RESULTS}/baselines.csv",
    log:
        f"{RESULTS}/logs/baselines.log",
    # Trainings, tables and figures come first; this takes cores that are left.
    priority: -1
    threads: asks("baselines", "threads")
    resources:
        mem_mb=asks("baselines", "mem_mb"),
        runtime=asks("baselines", "runtime"),
        gpu=asks("baselines", "gpu"),
    params:
        baselines=json.dumps(STUDY.baselines),
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        # Any point will do: the metric is read from its network.
        point=verbatim(next(iter(STUDY.grid.points))),
        repetitions=STUDY.repetitions,
        objective=verbatim(STUDY.objective.metric),
    script:
        "../scripts/baselines.py"
