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
        record=f"{POINTS}/{{point}}={{first}}-{{last}}.json",
    log:
        f"{RESULTS}/logs/points/{RUN.identity.setup.name}/{{point}}={{first}}-{{last}}.log",
    wildcard_constraints:
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
