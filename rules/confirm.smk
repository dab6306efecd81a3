"""Confirm: further repetitions, round by round, of the configurations that may be the best.

Needs   <results>/best.yaml, runs.csv, history.parquet, and what training needs
Makes   <results>/confirm/<fingerprint>/plan.json, round=<number>.json, best.yaml, rounds.csv,
        and further records in <results>/points
"""


# On a cluster, too short to queue for.
localrules:
    confirm_plan,
    confirm_round,
    confirm,


def ready_round(wildcards):
    """Return a round's number, once the plan and the round before it are there."""
    checkpoints.confirm_plan.get()
    number = int(wildcards.round)
    if number > 0:
        checkpoints.confirm_round.get(round=str(number - 1))
    return number


def round_records(wildcards):
    """List the records that a round reads; have those trained anew that were cut short."""
    needed = RUN.round_records(ready_round(wildcards))
    ADAPTER.force_truncated()
    return needed


def rounds(wildcards):
    """List the rounds; Snakemake asks again whenever one is finished."""
    checkpoints.confirm_plan.get()
    held = []
    while not held or RUN.after_round(len(held) - 1).repetitions is not None:
        if not os.path.exists(RUN.round_file(len(held))):
            # Of a confirmation that a limit ended, Snakemake would take it for done.
            workflow.dag.forcefiles.add(RUN.confirmed_pick)
        held += checkpoints.confirm_round.get(round=str(len(held))).output
    return held


checkpoint confirm_plan:
    """Settle what is compared and by what, once; say the most that it can cost."""
    input:
        # A plan that is there is kept, whatever changes before it.
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
        # Snakemake takes a param that is made from the input for no reason to run again.
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
        previous=lambda wildcards: [
            RUN.round_file(number - 1) for number in [ready_round(wildcards)] if number
        ],
        records=round_records,
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
        repetitions=lambda wildcards: RUN.round_repetitions(ready_round(wildcards)),
        hyperparameters=json.dumps(column_order(RUN.grid)),
        axes=json.dumps(list(RUN.grid.axes)),
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
        rounds=rounds,
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
        axes=json.dumps(list(RUN.grid.axes)),
        folds=RUN.folds,
    script:
        "../scripts/confirm.py"
