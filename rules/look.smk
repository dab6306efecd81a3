"""Look: what a run would train, whether it can, what is finished, what is no longer used.

Needs   nothing; no run depends on it
Makes   a plan or a list on the screen; <results>/partial/… from the records that exist
"""


localrules:
    plan,
    check,
    prune,
    prune_remove,
    gather_partial,
    analyse_partial,
    verdict_partial,
    heatmaps_partial,
    further_heatmaps_partial,
    figures_partial,
    report_partial,


rule plan:
    """Say what a run would train, why, and how long it would take; train nothing."""
    input:
        # Reading the data finds a misspelt column; a study with a record has read it before.
        lambda wildcards: [] if RUN.coverage.existing else f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/plan.log",
    params:
        arguments=verbatim(RUN.invocation.same_study()),
        records=lambda wildcards: RUN.coverage.needed,
        finished=lambda wildcards: RUN.coverage.existing,
        cut_short=lambda wildcards: sorted(RUN.coverage.cut_short),
        jobs=lambda wildcards: RUN.count_jobs(RUN.coverage.missing()),
        points=f"{RESULTS}/points",
        name=RUN.identity.setup.name,
        setup=verbatim(json.dumps(RUN.identity.setup.as_json())),
        repetitions=STUDY.repetitions,
        folds=RUN.folds,
        parallel=lambda wildcards: RUN.jobs_at_once(),
    script:
        "../scripts/plan.py"


rule check:
    """Build a sample of the networks, check them, and estimate the cost of a run; train nothing."""
    input:
        # Their age does not matter: their folder's name is a fingerprint of their content.
        rows=ancient(f"{DATA}/train.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
    log:
        f"{RESULTS}/logs/check.log",
    threads: asks("check", "threads")
    params:
        arguments=lambda wildcards: json.dumps(
            RUN.check_arguments(RUN.coverage.missing())
        ),
        axes=list(STUDY.grid.axes),
        load=lambda wildcards: json.dumps(vars(RUN.load())),
    script:
        "../scripts/check.py"


rule prune:
    """List the records that the study does not use."""
    log:
        f"{RESULTS}/logs/prune.log",
    params:
        results=RESULTS,
        used=lambda wildcards: RUN.used_records(),
        removing=False,
    script:
        "../scripts/prune.py"


use rule prune as prune_remove with:
    log:
        f"{RESULTS}/logs/prune_remove.log",
    params:
        results=RESULTS,
        used=lambda wildcards: RUN.used_records(),
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
        records=lambda wildcards: RUN.coverage.existing,
        newest=lambda wildcards: max(
            map(os.path.getmtime, RUN.coverage.existing), default=0
        ),
        trainings=RUN.trainings,


use rule analyse as analyse_partial with:
    input:
        runs=f"{RESULTS}/partial/runs.csv",
        summary=f"{RESULTS}/partial/summary.csv",
        code=code("analyse"),
    output:
        effects=f"{RESULTS}/partial/effects.csv",
        divergence=f"{RESULTS}/partial/divergence.csv",
        cv_results=f"{RESULTS}/partial/cv_results.csv",
        best=f"{RESULTS}/partial/best.yaml",
    log:
        f"{RESULTS}/logs/analyse_partial.log",


use rule verdict as verdict_partial with:
    input:
        runs=f"{RESULTS}/partial/runs.csv",
        summary=f"{RESULTS}/partial/summary.csv",
        best=f"{RESULTS}/partial/best.yaml",
        baselines=[],
        code=code("verdict"),
    output:
        verdict=f"{RESULTS}/partial/verdict.md",
        next=f"{RESULTS}/partial/next.yaml",
    log:
        f"{RESULTS}/logs/verdict_partial.log",


use rule heatmaps as heatmaps_partial with:
    input:
        summary=f"{RESULTS}/partial/summary.csv",
        runs=f"{RESULTS}/partial/runs.csv",
        effects=f"{RESULTS}/partial/effects.csv",
        best=f"{RESULTS}/partial/best.yaml",
        code=code("heatmaps"),
    output:
        RUN.first_figures(f"{RESULTS}/partial/figures"),
    log:
        f"{RESULTS}/logs/heatmaps_partial.log",


use rule further_heatmaps as further_heatmaps_partial with:
    input:
        summary=f"{RESULTS}/partial/summary.csv",
        runs=f"{RESULTS}/partial/runs.csv",
        effects=f"{RESULTS}/partial/effects.csv",
        best=f"{RESULTS}/partial/best.yaml",
        first=ancient(RUN.first_figures(f"{RESULTS}/partial/figures")),
        code=code("heatmaps"),
    output:
        RUN.further_figures(f"{RESULTS}/partial/figures"),
    log:
        f"{RESULTS}/logs/further_heatmaps_partial.log",


use rule figures as figures_partial with:
    input:
        runs=f"{RESULTS}/partial/runs.csv",
        history=f"{RESULTS}/partial/history.parquet",
        summary=f"{RESULTS}/partial/summary.csv",
        effects=f"{RESULTS}/partial/effects.csv",
        best=f"{RESULTS}/partial/best.yaml",
        baselines=[],
        code=code("figures"),
    output:
        RUN.evidence_figures(f"{RESULTS}/partial/figures"),
    log:
        f"{RESULTS}/logs/figures_partial.log",


use rule report as report_partial with:
    input:
        runs=f"{RESULTS}/partial/runs.csv",
        history=f"{RESULTS}/partial/history.parquet",
        summary=f"{RESULTS}/partial/summary.csv",
        effects=f"{RESULTS}/partial/effects.csv",
        best=f"{RESULTS}/partial/best.yaml",
        verdict=f"{RESULTS}/partial/verdict.md",
        next=f"{RESULTS}/partial/next.yaml",
        page=PAGE_PARTS,
        code=code("report"),
    output:
        page=f"{RESULTS}/partial/report.html",
        study=f"{RESULTS}/partial/study.json",
    log:
        f"{RESULTS}/logs/report_partial.log",
    params:
        missing=lambda wildcards: RUN.coverage.missing(),
        # Jobs that failed again have new causes.
        newest=lambda wildcards: RUN.newest_log(),


rule partial:
    """Make every table and figure from the records that exist."""
    input:
        rules.gather_partial.output,
        rules.analyse_partial.output,
        rules.verdict_partial.output,
        rules.heatmaps_partial.output,
        rules.further_heatmaps_partial.output,
        rules.figures_partial.output,
        rules.report_partial.output,
