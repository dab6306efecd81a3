"""Hold back the test rows."""

import json
from pathlib import Path

from gridloom.data.split import describe_split, read_table, split_rows, write_split
from gridloom.errors import told_in

with told_in(snakemake.log[0]):
    dataset = json.loads(snakemake.params.dataset)
    target, task = dataset["target"], dataset["task"]
    table = read_table(Path(snakemake.input.table), **dataset)
    train, test = split_rows(table, target=target, task=task, **json.loads(snakemake.params.split))
    write_split(
        train,
        test,
        describe_split(train, test, target, task),
        train_file=Path(snakemake.output.train),
        test_file=Path(snakemake.output.test),
        description_file=Path(snakemake.output.description),
    )
