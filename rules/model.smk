"""Model: the chosen point, fitted on all training rows and scored once on the test rows.

Needs   <results>/runs.csv, summary.csv, <results>/data/<fingerprint>/…, the model file
Makes   <results>/model/model.keras, preparation.joblib, model.json, a copy of the model file
"""


rule refit:
    """Fit the chosen point on all training rows; on request only, as it reads the test rows."""
    input:
        lambda wildcards: RUN.lost_records(),
        runs=f"{RESULTS}/runs.csv",
        summary=f"{RESULTS}/summary.csv",
        # Their age does not matter: their folder's name is a fingerprint of their content.
        train=ancient(f"{DATA}/train.{RUN.parts}"),
        test=ancient(f"{DATA}/test.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=code("refit"),
    output:
        network=f"{RESULTS}/model/model.keras",
        preparation=f"{RESULTS}/model/preparation.joblib",
        about=f"{RESULTS}/model/model.json",
        model=f"{RESULTS}/model/{Path(STUDY.model).name}",
    log:
        f"{RESULTS}/logs/refit.log",
    threads: asks("refit", "threads")
    resources:
        mem_mb=grows("refit", "mem_mb"),
        runtime=grows("refit", "runtime"),
        gpu=asks("refit", "gpu"),
    params:
        metric=verbatim(STUDY.objective.metric),
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        dataset=verbatim(RUN.dataset.model_dump_json(exclude_defaults=True)),
    script:
        "../scripts/refit.py"
