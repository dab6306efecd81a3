"""Options and fixtures that all tests share."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Set before TensorFlow is imported, as in a worker.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["OMP_NUM_THREADS"] = "1"

# On a loaded machine, slowness is not a failure.
settings.register_profile("gridloom", deadline=None)
settings.load_profile("gridloom")


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Use one thread, as a worker does; set before TensorFlow's first operation."""
    import tensorflow as tf

    gc.freeze()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


#: With it, a machine without Chromium fails the tests of pages instead of skipping them.
BROWSER_REQUIRED = "GRIDLOOM_TEST_BROWSER"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the machine's own Chromium, headless."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get(BROWSER_REQUIRED):
            pytest.fail(f"{BROWSER_REQUIRED} is set, but there is no chromium")
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        # Root may not use the sandbox, as in a container.
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more than there are cores, because most tests wait for processes and timers."""
    return (os.cpu_count() or 1) + 1


#: Number of tests that a process left out, for the last line of the output.
LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the whole gate, and of all that there is."""
    parser.addoption("--all", action="store_true", help="also run the tests marked `slow`")
    parser.addoption("--nightly", action="store_true", help="run all tests, `nightly` ones too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `slow` to `--all`, and those marked `nightly` to `--nightly`."""
    if config.getoption("--nightly"):
        return
    left = {"nightly"} if config.getoption("--all") else {"slow", "nightly"}
    out = [item for item in items if any(item.get_closest_marker(name) for name in left)]
    items[:] = [item for item in items if item not in out]
    config.hook.pytest_deselected(items=out)
    config.stash[LEFT_OUT] = len(out)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a process of xdist report how many tests it left out; all leave out the same tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Receive the report of a process of xdist."""
    if hasattr(node, "workeroutput"):
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many tests were left out, and how to run them."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        more = "" if config.getoption("--all") else "`pytest --all` runs more, "
        terminalreporter.line(f"{left_out:,} tests left out: {more}`pytest --nightly` runs all")
