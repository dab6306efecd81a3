"""Promises of identity: every record matches the set-up of its folder, whatever is edited."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest

from gridloom.identity.digests import Digests
from gridloom.identity.identify import TRAINING, library_modules
from tests.workflow.conftest import TINY
from tests.workflow.processes import wait_for

MODEL = '''"""A network that is made of parts."""
import json, os, sys
import keras
from blocks import hidden

def build_model(input_shape, outputs, *, units, learning_rate):
    # Not in the check beside the run.
    if "SEEN" in os.environ and "gridloom.check" not in sys.modules:
        with open(os.environ["SEEN"], "w") as seen:
            json.dump([name for name in sys.modules if name.split(".")[0] == "gridloom"], seen)
    model = keras.Sequential(
        [keras.Input(input_shape), hidden(units), keras.layers.Dense(outputs, "softmax")]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "categorical_crossentropy",
                  metrics=["categorical_accuracy"])
    return model
'''

BLOCKS = '''"""Parts."""
from keras.layers import Dense

def hidden(units):
    return Dense(units, activation="relu")
'''


@pytest.fixture
def in_parts(untrained):
    """Give the project a model file that imports its own module."""
    (untrained.folder / "models" / "net.py").write_text(MODEL)
    (untrained.folder / "models" / "blocks.py").write_text(BLOCKS)
    return untrained


def study_of(points, **changes):
    knobs = {"units": list(range(1, points + 1)), "learning_rate": 0.1}
    knobs |= {"batch_size": 32, "epochs": 60}
    return {**TINY, "repetitions": 1, "model": "models/net.py", "hyperparameters": knobs, **changes}


@pytest.mark.slow
def test_an_edit_of_an_imported_module_fails_later_jobs(in_parts, monkeypatch):
    seen = in_parts.folder / "seen.json"
    monkeypatch.setenv("SEEN", str(seen))
    in_parts.write(study_of(30))
    blocks = in_parts.folder / "models" / "blocks.py"
    running = in_parts.start(cores=1)
    try:
        assert wait_for(lambda: len(in_parts.records()) >= 3, 90), in_parts.printed
        blocks.write_text(BLOCKS.replace("relu", "tanh"))
        assert running.wait(timeout=120) != 0
    finally:
        running.kill()
    printed = in_parts.printed
    assert (
        "× models/blocks.py changed while the study was running; run `snakemake` again" in printed
    )
    assert "Traceback" not in printed
    before = in_parts.records()
    assert 3 <= len(before) < 30
    # The fingerprint covers exactly the library modules that a training process imports.
    assert set(json.loads(seen.read_text())) == set(library_modules([TRAINING], Digests().source))
    # A new version has another folder; the old version, also with a comment, uses its records.
    assert in_parts.succeed("-n")["train"] == 30
    blocks.write_text("# the old version\n" + BLOCKS)
    assert in_parts.succeed("-n")["train"] == 30 - len(before)
    blocks.write_text("def hidden(units) return")
    assert "models/blocks.py, line 1: not valid Python" in in_parts.fail("-n")


TWO = """
module first:
    snakefile: "gridloom-project/Snakefile"
    config: config["first"]

use rule * from first as first_*

module second:
    snakefile: "gridloom-project/Snakefile"
    config: config["second"]

use rule * from second as second_*

rule both:
    default_target: True
    input:
        rules.first_gather.output,
        rules.second_gather.output,
"""


@pytest.mark.slow
def test_two_studies_in_one_workflow_have_their_own_set_ups(in_parts):
    """The project is in a subfolder of the workflow that uses it."""
    folder = in_parts.folder
    inner = folder / "gridloom-project"
    inner.mkdir()
    for part in ("Snakefile", "rules", "scripts", "gridloom"):
        (folder / part).rename(inner / part)
    in_parts.environment = lambda kept=in_parts.environment: {**kept(), "PYTHONPATH": ""}
    first = study_of(1, results="results/first", seed=3)
    second = study_of(2, results="results/second", seed=4, objective={"metric": "val_loss"})
    second.update(trainer={"warm": False}, points_per_job=2)
    in_parts.write({"first": first, "second": second}, "both.yaml")
    (folder / "Snakefile").write_text('configfile: "both.yaml"\n' + TWO)
    ran = in_parts.succeed()
    assert sum(count for rule, count in ran.items() if "_train" in rule) == 2
    for results, seed, count in (("first", 3, 1), ("second", 4, 2)):
        paths = list((in_parts.results / results / "points").rglob("reps=*.json"))
        assert len(paths) == count
        path = paths[0]
        record = json.loads(path.read_text())
        assert record["environment"]["setup"]["seed"] == seed
        assert path.relative_to(in_parts.results / results / "points").parts[0] == name_of(record)
        runs = (in_parts.results / results / "runs.csv").read_text()
        assert "val_loss" in runs


def name_of(record) -> str:
    from gridloom.identity.setup import Setup

    return Setup.from_json(record["environment"]["setup"]).name


@pytest.fixture
def site(tmp_path):
    """Serve a file that a test may change."""
    page = {"text": ""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = page["text"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page["address"] = f"http://127.0.0.1:{server.server_port}/d.csv"
    yield page
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_changed_source_on_the_web_stops_the_run_until_the_user_decides(project, site):
    rows = [f"{i % 9},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    site["text"] = "\n".join(["x,y,target", *rows])
    project.change(dataset={"source": site["address"]}, hyperparameters={"units": 1})
    project.succeed("download")
    first = project.data
    noted = json.loads((first / "raw.json").read_text())[0]["sha256"]
    site["text"] = "\n".join(["x,y,target", *rows, "1,1,a"])
    (first / "raw.json").unlink()
    printed = project.fail("download")
    assert f"changed: it had SHA-256 {noted}" in printed
    assert "`snakemake --forcerun download` accepts the new version" in printed
    # With the sum of the version that was trained on, the rows are the same.
    project.change(dataset={"source": site["address"], "sha256": noted})
    assert f"asks for {noted}" in project.fail("download")
    project.change(dataset={"source": site["address"]})
    assert "the new version is noted" in project.fail("download", "--forcerun", "download")
    project.succeed("download")
    assert project.data != first
    assert Path(project.data / "raw.csv").read_text() == site["text"]
