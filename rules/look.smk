"""Look: what a run would cost, what is there already, what is no longer used.

Needs   nothing; no run depends on it
Makes   a plan or a list on the screen; <results>/partial/… from the records that there are
"""


localrules:
    plan,
    prune,
    prune_remove,
    gather_partial,
    heatmaps_partial,


rule plan:
    """Say what a run would train, why, and how long it would take; train nothing."""
    log:
        f"{RESULTS}/logs/plan.log",
    params:
        arguments=verbatim(same_study()),
        finished=lambda wildcards: existing_records(),
        points=f"{RESULTS}/points",
        name=SETUP.name,
        setup=verbatim(json.dumps(SETUP.as_json())),
        repetitions=STUDY.repetitions,
        folds=used_validation(STUDY).get("folds", 1),
        parallel=trainings_at_once(),
    script:
        "../scripts/plan.py"


rule prune:
    """List the records that the study does not use."""
    log:
        f"{RESULTS}/logs/prune.log",
    params:
        results=RESULTS,
        used=lambda wildcards: records(),
        removing=False,
    script:
        "../scripts/prune.py"


use rule prune as prune_remove with:
    log:
        f"{RESULTS}/logs/prune_remove.log",
    params:
        results=RESULTS,
        used=lambda wildcards: records(),
        removing=True,


use rule gather as gather_partial with:
    input:
        code=[
            script_of("gather"),
            *code(
                "analysis.cells", "analysis.divergence", "analysis.table", "records"
            ),
        ],
    output:
        runs=f"{RESULTS}/partial/runs.csv",
        history=f"{RESULTS}/partial/history.parquet",
        summary=f"{RESULTS}/partial/summary.csv",
    log:
        f"{RESULTS}/logs/gather_partial.log",
    params:
        # As inputs, records that changed settings have outdated would be trained.
        records=lambda wildcards: existing_records(),
        newest=lambda wildcards: max(
            map(os.path.getmtime, existing_records()), default=0
        ),
        trainings=len(GRID.points)
        * STUDY.repetitions
        * used_validation(STUDY).get("folds", 1),


use rule heatmaps as heatmaps_partial with:
    input:
        summary=f"{RESULTS}/partial/summary.csv",
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
            f"{RESULTS}/partial/figures/{{name}}.{{format}}",
            name=heatmap_names(),
            format=STUDY.figures.formats,
        ),
    log:
        f"{RESULTS}/logs/heatmaps_partial.log",


rule partial:
    """Make every table and figure from the records that there are."""
    input:
        rules.gather_partial.output,
        rules.heatmaps_partial.output,
