"""Data: bring the raw rows here, hold back the test rows.

Needs   the source named in the study
Makes   <results>/data/<fingerprint>/raw.csv, raw.json, train.parquet, test.parquet, split.json
"""


# On a cluster, too short to queue for.
localrules:
    download,
    split,


rule download:
    """Bring the raw data here and note where it came from."""
    input:
        source=SOURCES,
        code=[script_of("download"), *code("data/sources")],
    output:
        table=f"{DATA}/raw.csv",
        provenance=f"{DATA}/raw.json",
    log:
        f"{RESULTS}/logs/download.log",
    threads: asks("download", "threads", 1)
    resources:
        mem_mb=asks("download", "mem_mb", 1000),
        runtime=asks("download", "runtime", 30),
        gpu=asks("download", "gpu", 0),
    params:
        source=STUDY.dataset.source,
        sha256=STUDY.dataset.sha256,
    script:
        "../scripts/download.py"


rule split:
    """Hold back the test rows, which nothing reads until the choice is made."""
    input:
        table=f"{DATA}/raw.csv",
        code=[script_of("split"), *code("data/split")],
    output:
        train=f"{DATA}/train.parquet",
        test=f"{DATA}/test.parquet",
        description=f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/split.log",
    threads: asks("split", "threads", 1)
    resources:
        mem_mb=asks("split", "mem_mb", 2000),
        runtime=asks("split", "runtime", 30),
        gpu=asks("split", "gpu", 0),
    params:
        dataset=json.dumps(
            STUDY.dataset.model_dump(include={"target", "task", "drop", "columns"}),
            sort_keys=True,
        ),
        split=json.dumps(STUDY.split.model_dump(), sort_keys=True),
    script:
        "../scripts/split.py"
