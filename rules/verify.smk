"""Verify: the pick's trainings once more in a new process, and its score on seeds never used.

Needs   <results>/confirm/<fingerprint>/best.yaml if there is one, else <results>/best.yaml, the
        records of that point, and what training needs
Makes   <results>/verify/<fingerprint>/pick.yaml, again/, verify.yaml, report.txt, and a record of reserved
        repetitions in <results>/points
"""


# Too short for the queue of a cluster.
localrules:
    verify_pick,


checkpoint verify_pick:
    """Take the pick to verify: the confirmed one if there is one, else the study's."""
    input:
        RUN.confirmed or f"{RESULTS}/best.yaml",
    output:
        pick=RUN.verified_pick,
    log:
        f"{RESULTS}/logs/verify_pick.log",
    shell:
        "cp {input:q} {output:q} 2> {log:q}"


rule verify:
    """Train the pick's records once more, and score it by its reserved repetitions."""
    input:
        pick=RUN.verified_pick,
        history=f"{RESULTS}/history.parquet",
        records=ADAPTER.verified_records,
        reserved=ADAPTER.reserved_records,
        # As for `train`: the folder's name is a fingerprint of their content.
        train=ancient(f"{DATA}/train.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=code("verify"),
    output:
        again=directory(f"{RUN.verify_folder}/again"),
        verified=f"{RUN.verify_folder}/verify.yaml",
        report=f"{RUN.verify_folder}/report.txt",
    log:
        f"{RESULTS}/logs/verify.log",
    threads: asks("verify", "threads")
    resources:
        mem_mb=grows("verify", "mem_mb"),
        runtime=grows("verify", "runtime"),
        gpu=asks("verify", "gpu"),
    params:
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        metric=verbatim(STUDY.objective.metric),
        diverged_above=STUDY.objective.diverged_above,
        baselines=json.dumps(STUDY.baselines),
    script:
        "../scripts/verify.py"
