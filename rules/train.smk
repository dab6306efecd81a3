"""Train: one target per grid point and block of repetitions.

Needs   <results>/data/<fingerprint>/train.parquet, split.json, the model file
Makes   <results>/points/{point}/reps={first}-{last}.json
"""

# As inputs of each job, these files would make up a third of the time that planning takes.
TRAINED_BY = {
    "model file": fingerprint([STUDY.model]),
    "training code": fingerprint(
        code(
            "seeds",
            "data/preparation",
            "data/sources",
            "data/split",
            "training/fit",
            "training/lockstep",
            "training/model",
            "training/record",
            "training/run",
        )
    ),
}


rule train:
    """Train one grid point, one block of its repetitions."""
    input:
        # Their folder's name tells what is in them; their age does not count.
        rows=ancient(f"{DATA}/train.parquet"),
        split=ancient(f"{DATA}/split.json"),
    output:
        record=f"{RESULTS}/points/{{point}}/reps={{first}}-{{last}}.json",
    log:
        f"{RESULTS}/logs/points/{{point}}/reps={{first}}-{{last}}.log",
    wildcard_constraints:
        point=r".+",
        first=r"\d+",
        last=r"\d+",
    threads: asks("train", "threads", 1)
    resources:
        mem_mb=grows("train", "mem_mb", 2000),
        runtime=grows("train", "runtime", 60),
        gpu=asks("train", "gpu", 0),
    params:
        request=request,
        client=code("training/client")[0],
    shell:
        "exec python -S -E -P {params.client:q} {params.request:q} {threads} {resources.gpu}"
        " {output:q} {log:q} {input:q}"
