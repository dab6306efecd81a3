"""Report: from tables to one page for a browser.

Needs   <results>/summary.csv, runs.csv, history.parquet, effects.csv, best.yaml, verdict.md,
        next.yaml
Makes   <results>/report.html; study.json, for notebooks
"""


# Too short for the queue of a cluster.
localrules:
    report,


rule report:
    """Write the whole study as one page that needs no network."""
    input:
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
        effects=f"{RESULTS}/effects.csv",
        best=f"{RESULTS}/best.yaml",
        verdict=f"{RESULTS}/verdict.md",
        next=f"{RESULTS}/next.yaml",
        page=PAGE_PARTS,
        code=code("report"),
    output:
        page=shown(f"{RESULTS}/report.html", "page", "Report"),
        study=f"{RESULTS}/study.json",
    log:
        f"{RESULTS}/logs/report.log",
    threads: asks("report", "threads")
    resources:
        mem_mb=asks("report", "mem_mb"),
        runtime=asks("report", "runtime"),
        gpu=asks("report", "gpu"),
    params:
        study=verbatim(RUN.study_text),
        arguments=verbatim(json.dumps(RUN.shown_arguments)),
        # No inputs: the data of finished trainings may be lost.
        data=DATA,
        points=RUN.coverage.folder,
        confirmation=RUN.confirmed_pick,
        # No input: it is not made again for a page.
        confirmed=RUN.confirmed,
        content=fingerprint(filter(None, [RUN.confirmed])),
    script:
        "../scripts/report.py"
