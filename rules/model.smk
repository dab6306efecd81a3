"""Model: the pick, fitted on all training rows and scored on the test rows.

Needs   <results>/best.yaml, or <results>/confirm/<fingerprint>/best.yaml if there is one,
        <results>/data/<fingerprint>/…, the model file
Makes   <results>/model/model.keras, preparation.joblib, model.json, a copy of the model file,
        README.md, report.txt, figures; adds a line to <results>/test_reads.jsonl
"""


rule refit:
    """Fit the pick on all training rows; on request only, as it reads the test rows."""
    input:
        lambda wildcards: RUN.lost_records(),
        best=RUN.confirmed or rules.analyse.output.best,
        # Their age does not matter: their folder's name is a fingerprint of their content.
        train=ancient(f"{DATA}/train.{RUN.parts}"),
        test=ancient(f"{DATA}/test.{RUN.parts}"),
        split=ancient(f"{DATA}/split.json"),
        model=STUDY.model,
        code=code("refit"),
    output:
        network=f"{RESULTS}/model/model.keras",
        preparation=f"{RESULTS}/model/preparation.joblib",
        card=f"{RESULTS}/model/model.json",
        model=f"{RESULTS}/model/{Path(STUDY.model).name}",
        readme=f"{RESULTS}/model/README.md",
        report=f"{RESULTS}/model/report.txt",
        figures=RUN.model_figures(f"{RESULTS}/model"),
    log:
        f"{RESULTS}/logs/refit.log",
    threads: asks("refit", "threads")
    resources:
        mem_mb=grows("refit", "mem_mb"),
        runtime=grows("refit", "runtime"),
        gpu=asks("refit", "gpu"),
    params:
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        dataset=verbatim(RUN.dataset.model_dump_json(exclude_defaults=True)),
        # No output: Snakemake would delete it before it looks again.
        looks=f"{RESULTS}/test_reads.jsonl",
        title=verbatim(STUDY.name),
        dpi=STUDY.figures.dpi,
    script:
        "../scripts/refit.py"
