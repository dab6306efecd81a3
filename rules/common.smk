"""What the rules share: the study in this run of `snakemake`.

`gridloom.workflow` determines what the rules ask for.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

from gridloom.files import fingerprint
from gridloom.report import assets
from gridloom.workflow.adapter import Adapter, unnoted, verbatim


def here():
    """Return this file; for a workflow that uses this one as a module, not that one's folder."""
    return Path(here.__code__.co_filename)


ADAPTER = Adapter(workflow, config, checkpoints, here().parents[1] / "scripts")
RUN = ADAPTER.run
STUDY, RESULTS, DATA = RUN.study, RUN.results, RUN.data

# A param: each axis and its values as the tables spell them.
AXES = verbatim(json.dumps(STUDY.grid.texts))

# Files that the report is made of, besides its code.
PAGE_PARTS = [os.path.relpath(file) for file in assets.files()]

asks, grows, code = ADAPTER.asks, ADAPTER.grows, ADAPTER.code
shown = ADAPTER.shown
records, for_training = ADAPTER.records, ADAPTER.for_training
