"""Export: the finished study in the files of other programs.

Needs   <results>/runs.csv, history.parquet, summary.csv, best.yaml
Makes   <results>/export/optuna.db, mlflow.db
"""


# Too short for the queue of a cluster.
localrules:
    export_optuna,
    export_mlflow,


rule export_optuna:
    """Write the study as a storage of Optuna: a trial for each configuration."""
    input:
        lambda wildcards: RUN.lost_records(),
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
        best=f"{RESULTS}/best.yaml",
        code=code("export_optuna"),
    output:
        f"{RESULTS}/export/optuna.db",
    log:
        f"{RESULTS}/logs/export_optuna.log",
    params:
        study=verbatim(RUN.study_text),
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        confirmation=RUN.confirmed_pick,
        # No input: it is not made again for an export.
        confirmed=RUN.confirmed,
        content=fingerprint(filter(None, [RUN.confirmed])),
    script:
        "../scripts/export_optuna.py"


rule export_mlflow:
    """Write the study as a store of MLflow: a run for each configuration and training."""
    input:
        lambda wildcards: RUN.lost_records(),
        runs=f"{RESULTS}/runs.csv",
        history=f"{RESULTS}/history.parquet",
        summary=f"{RESULTS}/summary.csv",
        best=f"{RESULTS}/best.yaml",
        code=code("export_mlflow"),
    output:
        f"{RESULTS}/export/mlflow.db",
    log:
        f"{RESULTS}/logs/export_mlflow.log",
    params:
        study=verbatim(RUN.study_text),
        setup=verbatim(json.dumps(RUN.identity.setup.as_json(), sort_keys=True)),
        confirmation=RUN.confirmed_pick,
        # No input: it is not made again for an export.
        confirmed=RUN.confirmed,
        content=fingerprint(filter(None, [RUN.confirmed])),
    script:
        "../scripts/export_mlflow.py"
