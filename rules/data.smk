"""Data: bring the raw rows here, hold back the test rows.

Needs   the source named in the study
Makes   <results>/data/<fingerprint>/raw.csv (or .tsv, .parquet, .npz), raw.json,
        train.parquet, test.parquet (.npz for arrays), split.json
"""


# On a cluster, too short to queue for.
localrules:
    download,
    split,


rule download:
    """Bring the raw data here and note where it came from."""
    input:
        # Their folder's name tells what they hold, and which code read it.
        source=ancient(SOURCES),
    output:
        tables=RAW_TABLES,
        provenance=f"{DATA}/raw.json",
    log:
        f"{RESULTS}/logs/download.log",
    threads: asks("download", "threads", 1)
    resources:
        mem_mb=asks("download", "mem_mb", 1000),
        runtime=asks("download", "runtime", 30),
        gpu=asks("download", "gpu", 0),
    params:
        dataset=verbatim(DATASET.model_dump_json()),
        format=FORMAT,
        planned=json.dumps(IDENTITY.contents),
        versions=verbatim(str(VERSIONS)),
    script:
        "../scripts/download.py"


rule split:
    """Hold back the test rows, which nothing reads until the choice is made."""
    input:
        tables=RAW_TABLES,
    output:
        train=f"{DATA}/train.{PARTS}",
        test=f"{DATA}/test.{PARTS}",
        description=f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/split.log",
    threads: asks("split", "threads", 1)
    resources:
        mem_mb=asks("split", "mem_mb", 2000),
        runtime=asks("split", "runtime", 30),
        gpu=asks("split", "gpu", 0),
    params:
        dataset=verbatim(DATASET.model_dump_json()),
        split=verbatim(acting_split(STUDY).model_dump_json()),
        format=FORMAT,
    script:
        "../scripts/split.py"
