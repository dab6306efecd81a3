"""Train: one target per grid point and block of repetitions.

Needs   <results>/data/<fingerprint>/train.parquet (or .npz), split.json, the model file
Makes   <results>/points/<setup>/{point}/reps={first}-{last}.json
"""


rule train:
    """Train one block of repetitions of one grid point."""
    input:
        rows=for_training(f"{DATA}/train.{RUN.parts}"),
        split=for_training(f"{DATA}/split.json"),
    output:
        # The job gets the name of the set-up. On a cluster, a job reads the study again; without
        # the name, it would train an edited study for a record planned before the edit.
        record=f"{RESULTS}/points/{{setup}}/{{point}}={{first}}-{{last}}.json",
    log:
        f"{RESULTS}/logs/points/{{setup}}/{{point}}={{first}}-{{last}}.log",
    wildcard_constraints:
        setup=r"[0-9a-f]{16}",
        # Not the point alone, because Snakemake refuses a wildcard that ends in twenty repeats, such
        # as a list of equal layer sizes.
        point=r".+/reps",
        first=ADAPTER.first_repetition,
        last=r"\d+",
    threads: asks("train", "threads")
    resources:
        mem_mb=grows("train", "mem_mb"),
        runtime=grows("train", "runtime"),
        gpu=asks("train", "gpu"),
    # The record's path says what to train: the set-up, the point, the repetitions.
    shell:
        'exec "$GRIDLOOM_PYTHON" -S -E -P "$GRIDLOOM_CLIENT" {threads} {resources.gpu}'
        " {resources.runtime} {output:q} {log:q} {input:q}"


# With more than one point a job: missing records in groups, each group made by a rule of its own.
for group in RUN.groups:

    rule:
        name:
            group.rule
        input:
            rows=ancient(f"{DATA}/train.{RUN.parts}"),
            split=ancient(f"{DATA}/split.json"),
        output:
            group.records,
        log:
            f"{RESULTS}/logs/jobs/{group.digest}.log",
        threads: asks("train", "threads")
        resources:
            mem_mb=grows("train", "mem_mb"),
            runtime=ADAPTER.minutes(group),
            # The limit of each record, which is no limit of Snakemake's or a cluster's.
            record_runtime=grows("train", "runtime"),
            gpu=asks("train", "gpu"),
        params:
            # Their paths could be too long for a command line.
            records=unnoted(group.file),
        shell:
            'exec "$GRIDLOOM_PYTHON" -S -E -P "$GRIDLOOM_CLIENT" {threads} {resources.gpu}'
            " {resources.record_runtime} {params.records:q} {log:q} {input:q}"


ADAPTER.as_train(RUN.groups)
