"""Predict for new rows with a study's fitted model.

``python -m gridloom.predict results/model new.csv`` prints a CSV with a line for each row of
``new.csv``, in the same order: the columns that the study drops, such as an id, and the
predictions. ``--output FILE`` writes it to a file instead.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from gridloom.errors import GridloomError, GridloomWarning
from gridloom.files import atomic_path
from gridloom.fitted.card import Card
from gridloom.fitted.model import FittedModel


def _print_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning as a sentence, without the line of code that raised it."""
    print(message, file=sys.stderr)


def main(arguments: list[str]) -> None:
    """Read new rows, predict, and print or write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m gridloom.predict",
        description="Predict for new rows with the model that `snakemake refit` made.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, such as results/model")
    parser.add_argument("rows", type=Path, help="CSV, TSV, Parquet or NPZ file like the study's")
    parser.add_argument("--output", type=Path, help="CSV file to write; printed without it")
    asked = parser.parse_args(arguments)

    from gridloom.workers.process import loading, output_to, set_devices, set_libraries

    try:
        set_libraries(Card.read(asked.model).setup.onednn)
        with loading(), output_to(os.devnull):  # hides TensorFlow's messages
            set_devices(os.cpu_count() or 1, [])
        model = FittedModel.load(asked.model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", GridloomWarning)
            warnings.showwarning = _print_warning  # type: ignore[assignment]
            rows = model.read(asked.rows)
            predictions = rows.label(model.predict(rows.features))
        if asked.output is None:
            predictions.to_csv(sys.stdout, index=False)
        else:
            with atomic_path(asked.output) as beside:
                predictions.to_csv(beside, index=False)
    except GridloomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # no traceback after `| head`
    main(sys.argv[1:])
