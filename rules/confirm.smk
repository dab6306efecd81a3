"""Confirm: further repetitions, round by round, of the configurations that may be the best.

Needs   <results>/best.yaml, runs.csv, history.parquet, and what training needs
Makes   <results>/confirm/<fingerprint>/plan.json, round=<number>.json, best.yaml, rounds.csv,
        and further records in <results>/points
"""


# Too short for the queue of a cluster.
localrules:
    confirm_plan,
    confirm_round,
    confirm,


checkpoint confirm_plan:
    """Settle what is compared and by what, once; say the most that it can cost."""
    input:
        # An existing plan is kept, even if these files change.
        best=ancient(f"{RESULTS}/best.yaml"),
        runs=ancient(f"{RESULTS}/runs.csv"),
        history=ancient(f"{RESULTS}/history.parquet"),
    output:
        plan=RUN.plan_file,
    log:
        f"{RESULTS}/logs/confirm_plan.log",
    threads: asks("confirm", "threads")
    resources:
        mem_mb=asks("confirm", "mem_mb"),
        runtime=asks("confirm", "runtime"),
        gpu=asks("confirm", "gpu"),
    params:
        # Functions of `input`, because Snakemake runs no rule again for a change of such params.
        confirm=lambda wildcards, input: STUDY.confirm.model_dump_json(),
        repetitions=lambda wildcards, input: STUDY.repetitions,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        diverged_above=STUDY.objective.diverged_above,
        folds=RUN.folds,
    script:
        "../scripts/confirm_plan.py"


checkpoint confirm_round:
    """Find which configurations are left after a round of repetitions."""
    input:
        plan=RUN.plan_file,
        previous=ADAPTER.previous_round,
        records=ADAPTER.round_records,
        code=code("confirm_round"),
    output:
        held=RUN.round_file("{round}"),
    log:
        f"{RESULTS}/logs/confirm_round={{round}}.log",
    wildcard_constraints:
        round=r"\d+",
    threads: asks("confirm", "threads")
    resources:
        mem_mb=asks("confirm", "mem_mb"),
        runtime=asks("confirm", "runtime"),
        gpu=asks("confirm", "gpu"),
    params:
        repetitions=ADAPTER.round_repetitions,
        hyperparameters=json.dumps(STUDY.grid.columns),
        axes=json.dumps(list(STUDY.grid.axes)),
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        folds=RUN.folds,
    script:
        "../scripts/confirm_round.py"


rule confirm:
    """Hold rounds until it is settled which configuration is the best, or a limit is reached."""
    input:
        plan=RUN.plan_file,
        best=f"{RESULTS}/best.yaml",
        summary=f"{RESULTS}/summary.csv",
        rounds=ADAPTER.rounds,
        code=code("confirm"),
    output:
        best=RUN.confirmed_pick,
        rounds=f"{RUN.confirm_folder}/rounds.csv",
    log:
        f"{RESULTS}/logs/confirm.log",
    threads: asks("confirm", "threads")
    resources:
        mem_mb=asks("confirm", "mem_mb"),
        runtime=asks("confirm", "runtime"),
        gpu=asks("confirm", "gpu"),
    params:
        confirm=verbatim(STUDY.confirm.model_dump_json()),
        axes=json.dumps(list(STUDY.grid.axes)),
        folds=RUN.folds,
    script:
        "../scripts/confirm.py"
