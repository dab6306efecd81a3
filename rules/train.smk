"""Train: one target per grid point and block of repetitions.

Needs   <results>/data/<fingerprint>/train.parquet (or .npz), split.json, the model file
Makes   <results>/points/<setup>/{point}/reps={first}-{last}.json
"""


rule train:
    """Train one grid point, one block of its repetitions."""
    input:
        rows=for_training(f"{DATA}/train.{RUN.parts}"),
        split=for_training(f"{DATA}/split.json"),
    output:
        # The set-up's name goes with the job: on a cluster, a job reads the study anew, and what was
        # edited since would be trained for another record than the one that was planned.
        record=f"{RESULTS}/points/{{setup}}/{{point}}={{first}}-{{last}}.json",
    log:
        f"{RESULTS}/logs/points/{{setup}}/{{point}}={{first}}-{{last}}.log",
    wildcard_constraints:
        setup=r"[0-9a-f]{16}",
        # Not the point alone: Snakemake refuses a wildcard that ends in twenty repeats, such as
        # those of a list of equal layer sizes.
        point=r".+/reps",
        first=r"\d+",
        last=r"\d+",
    threads: asks("train", "threads")
    resources:
        mem_mb=grows("train", "mem_mb"),
        runtime=grows("train", "runtime"),
        gpu=asks("train", "gpu"),
    # The record's path tells what to train: the set-up, the point, the repetitions.
    shell:
        'exec python -S -E -P "$GRIDLOOM_CLIENT" {threads} {resources.gpu}'
        " {output:q} {log:q} {input:q}"
