"""Gridloom: a grid study of a neural network, from the raw data to heatmaps.

Write the study in config/config.yaml and run `snakemake --cores all`.
The rules below are included in the order in which the data passes through them.
"""

from snakemake.utils import min_version

min_version("9.23")


# Only used with `--sdm apptainer`; the Containerfile says how to build it.
container: "gridloom.sif"


include: "rules/common.smk"
include: "rules/data.smk"  # download → split
include: "rules/train.smk"  # one target per grid point
include: "rules/analyse.smk"  # records → tables → the pick and the verdict
include: "rules/confirm.smk"  # further repetitions, on request, until the choice is settled
include: "rules/verify.smk"  # the choice, trained again and scored on new seeds, on request
include: "rules/figures.smk"  # tables → heatmaps, evidence
include: "rules/report.smk"  # tables → one page for a browser
include: "rules/export.smk"  # tables → files of Optuna and MLflow, on request
include: "rules/crosscheck.smk"  # a sample by GridSearchCV, on request
include: "rules/model.smk"  # the chosen point → a fitted model, on request
include: "rules/compare.smk"  # beside an earlier set-up, on request
include: "rules/look.smk"  # plan, prune, partial: independent of any run


# If trainings run on this machine, TensorFlow is imported while the data is downloaded.
onstart:
    ADAPTER.prepare()


onsuccess:
    ADAPTER.report_end()


onerror:
    ADAPTER.report_failed()


rule all:
    # A workflow that uses this one as a module keeps the default target that it has.
    default_target: ADAPTER.comes_first
    input:
        rules.gather.output,
        rules.analyse.output,
        rules.verdict.output,
        RUN.baselines,
        rules.heatmaps.output,
        rules.further_heatmaps.output,
        rules.figures.output,
        rules.report.output,
        lambda wildcards: RUN.lost_records(),
