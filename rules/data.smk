"""Data: download the raw rows, hold back the test rows.

Needs   the source named in the study
Makes   <results>/data/<fingerprint>/raw.csv (or .tsv, .parquet, .npz), raw.json,
        train.parquet, test.parquet (.npz for arrays), split.json
"""


# Too short for the queue of a cluster.
localrules:
    download,
    split,


rule download:
    """Download the raw data and note where it came from."""
    input:
        # Their age does not matter: the folder's name is a fingerprint of their content.
        source=ancient(RUN.sources),
    output:
        tables=RUN.raw_tables,
        provenance=f"{DATA}/raw.json",
    log:
        f"{RESULTS}/logs/download.log",
    threads: asks("download", "threads")
    resources:
        mem_mb=asks("download", "mem_mb"),
        runtime=asks("download", "runtime"),
        gpu=asks("download", "gpu"),
    params:
        dataset=verbatim(RUN.dataset.model_dump_json()),
        format=RUN.format,
        planned=json.dumps(RUN.identity.contents),
        versions=verbatim(str(RUN.versions)),
    script:
        "../scripts/download.py"


rule split:
    """Hold back the test rows, which no rule reads until the choice is made."""
    input:
        tables=RUN.raw_tables,
    output:
        train=f"{DATA}/train.{RUN.parts}",
        test=f"{DATA}/test.{RUN.parts}",
        description=f"{DATA}/split.json",
    log:
        f"{RESULTS}/logs/split.log",
    threads: asks("split", "threads")
    resources:
        mem_mb=asks("split", "mem_mb"),
        runtime=asks("split", "runtime"),
        gpu=asks("split", "gpu"),
    params:
        dataset=verbatim(RUN.dataset.model_dump_json()),
        split=verbatim(RUN.split.model_dump_json()),
        format=RUN.format,
    script:
        "../scripts/split.py"
