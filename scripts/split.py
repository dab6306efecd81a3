"""Hold back the test rows."""

import sys
from pathlib import Path

from gridloom.data.split import (
    describe_split,
    read_raw,
    settle,
    split_rows,
    tell_dropped,
    write_split,
)
from gridloom.errors import told_in
from gridloom.study import Dataset, Split

with told_in(snakemake.log[0]):
    dataset = Dataset.model_validate_json(snakemake.params.dataset)
    split = Split.model_validate_json(snakemake.params.split)
    files = [Path(path) for path in snakemake.input.tables]
    rows = read_raw(files, snakemake.params.format, dataset, split)
    train, test = settle(*split_rows(rows, dataset, split), dataset, snakemake.params.format)
    description = describe_split(train, test, dataset)
    write_split(
        train,
        test,
        description,
        train_file=Path(snakemake.output.train),
        test_file=Path(snakemake.output.test),
        description_file=Path(snakemake.output.description),
    )
    dropped = tell_dropped(description)
    if dropped:
        print(dropped, file=sys.stderr)
