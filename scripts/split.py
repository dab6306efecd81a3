"""Hold back the test rows."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

from gridloom.data.alarms import describe_alarms, find_alarms
from gridloom.data.memory import describe_memory
from gridloom.data.settings import handed_over
from gridloom.data.split import (
    describe_dropped,
    describe_split,
    read_raw,
    settle,
    split_rows,
    write_split,
)
from gridloom.errors import report_mistakes
from gridloom.study.dataset import Dataset, Split

with report_mistakes(snakemake.log[0]):
    dataset = Dataset.model_validate_json(snakemake.params.dataset)
    split = Split.model_validate_json(snakemake.params.split)
    files = [Path(path) for path in snakemake.input.tables]
    settings = handed_over(snakemake.output.description)
    rows = read_raw(files, snakemake.params.format, dataset, split, settings.limits)
    train, test = settle(*split_rows(rows, dataset, split), dataset, snakemake.params.format)
    description = describe_split(train, test, dataset)
    alarms = find_alarms(train, test, description, dataset)
    write_split(
        train,
        test,
        replace(description, alarms=[asdict(alarm) for alarm in alarms]),
        train_file=Path(snakemake.output.train),
        test_file=Path(snakemake.output.test),
        description_file=Path(snakemake.output.description),
    )
    for message in (
        describe_dropped(description),
        describe_alarms(alarms),
        describe_memory(description, settings),
    ):
        if message:
            print(message, file=sys.stderr)
