"""Model: the chosen point, fitted on all training rows and scored once on the test rows.

Needs   <results>/runs.csv, summary.csv, <results>/data/<fingerprint>/…, the model file
Makes   <results>/model/model.keras, preparation.joblib, model.json, a copy of the model file
"""


rule refit:
    """Fit the chosen point for good; not before it is asked for, as it looks at the test rows."""
    input:
        lambda wildcards: lost_records(),
        runs=f"{RESULTS}/runs.csv",
        summary=f"{RESULTS}/summary.csv",
        # As for `train`, their folder's name tells what is in them.
        train=ancient(f"{DATA}/train.{PARTS}"),
        test=ancient(f"{DATA}/test.{PARTS}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=[
            script_of("refit"),
            *code("analysis.selection", "fitted.model", "fitted.refit"),
        ],
    output:
        network=f"{RESULTS}/model/model.keras",
        preparation=f"{RESULTS}/model/preparation.joblib",
        about=f"{RESULTS}/model/model.json",
        model=f"{RESULTS}/model/{Path(STUDY.model).name}",
    log:
        f"{RESULTS}/logs/refit.log",
    threads: asks("refit", "threads", asks("train", "threads", 1))
    resources:
        mem_mb=grows("refit", "mem_mb", asks("train", "mem_mb", 2000)),
        runtime=grows("refit", "runtime", asks("train", "runtime", 60)),
        gpu=asks("refit", "gpu", asks("train", "gpu", 0)),
    params:
        metric=verbatim(STUDY.objective.metric),
        setup=verbatim(json.dumps(SETUP.as_json(), sort_keys=True)),
        dataset=verbatim(DATASET.model_dump_json(exclude_defaults=True)),
    script:
        "../scripts/refit.py"
