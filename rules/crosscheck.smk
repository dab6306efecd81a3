"""Crosscheck: a sample of the trainings once more, by scikit-learn's GridSearchCV.

Needs   <results>/runs.csv, best.yaml, <results>/data/<fingerprint>/…, the model file
Makes   <results>/crosscheck.csv, crosscheck.md
"""


rule crosscheck:
    """Train a sample of points by plain `model.fit`, and compare its scores with the records'."""
    input:
        lambda wildcards: RUN.lost_records(),
        runs=f"{RESULTS}/runs.csv",
        best=f"{RESULTS}/best.yaml",
        # As for `train`: the folder's name is a fingerprint of their content.
        train=ancient(f"{DATA}/train.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=code("crosscheck"),
    output:
        table=f"{RESULTS}/crosscheck.csv",
        report=f"{RESULTS}/crosscheck.md",
    log:
        f"{RESULTS}/logs/crosscheck.log",
    threads: asks("crosscheck", "threads")
    resources:
        mem_mb=grows("crosscheck", "mem_mb"),
        runtime=grows("crosscheck", "runtime"),
        gpu=asks("crosscheck", "gpu"),
    params:
        axes=AXES,
        metric=verbatim(STUDY.objective.metric),
        mode=STUDY.objective.mode,
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        points=STUDY.crosscheck.points,
        repetitions=STUDY.crosscheck.repetitions,
    script:
        "../scripts/crosscheck.py"
