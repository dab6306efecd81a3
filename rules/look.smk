"""Look: what a run would train, what is finished, what is no longer used.

Needs   nothing; no run depends on it
Makes   a plan or a list on the screen; <results>/partial/… from the records that exist
"""


localrules:
    plan,
    prune,
    prune_remove,
    gather_partial,
    heatmaps_partial,


rule plan:
    """Say what a run would train, why, and how long it would take; train nothing."""
    input:
        # Reading the data finds a misspelt column; a study with a record has read it before.
        lambda wildcards: [] if RUN.existing_records else f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/plan.log",
    params:
        arguments=verbatim(RUN.invocation.same_study()),
        records=lambda wildcards: RUN.records,
        finished=lambda wildcards: RUN.existing_records,
        cut_short=lambda wildcards: sorted(RUN.cut_short),
        points=f"{RESULTS}/points",
        name=RUN.identity.setup.name,
        setup=verbatim(json.dumps(RUN.identity.setup.as_json())),
        repetitions=STUDY.repetitions,
        folds=RUN.folds,
        parallel=RUN.jobs_at_once(),
    script:
        "../scripts/plan.py"


rule prune:
    """List the records that the study does not use."""
    log:
        f"{RESULTS}/logs/prune.log",
    params:
        results=RESULTS,
        used=records,
        removing=False,
    script:
        "../scripts/prune.py"


use rule prune as prune_remove with:
    log:
        f"{RESULTS}/logs/prune_remove.log",
    params:
        results=RESULTS,
        used=records,
        removing=True,


use rule gather as gather_partial with:
    input:
        code=code("gather"),
    output:
        runs=f"{RESULTS}/partial/runs.csv",
        history=f"{RESULTS}/partial/history.parquet",
        summary=f"{RESULTS}/partial/summary.csv",
    log:
        f"{RESULTS}/logs/gather_partial.log",
    params:
        # Not inputs: Snakemake would train records that changed settings have outdated.
        records=lambda wildcards: RUN.existing_records,
        newest=lambda wildcards: max(
            map(os.path.getmtime, RUN.existing_records), default=0
        ),
        trainings=RUN.trainings,


use rule heatmaps as heatmaps_partial with:
    input:
        summary=f"{RESULTS}/partial/summary.csv",
        runs=f"{RESULTS}/partial/runs.csv",
        code=code("heatmaps"),
    output:
        RUN.grid_figures(f"{RESULTS}/partial/figures"),
    log:
        f"{RESULTS}/logs/heatmaps_partial.log",


rule partial:
    """Make every table and figure from the records that exist."""
    input:
        rules.gather_partial.output,
        rules.heatmaps_partial.output,
