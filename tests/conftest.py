"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Before anything imports TensorFlow, as the worker does it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

# A loaded machine is slow, which is no failure.
settings.register_profile("gridloom", deadline=None)
settings.load_profile("gridloom")


def pytest_xdist_auto_num_workers() -> int:
    """Run one test more than there are cores: most wait for processes and timers of their own."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, so that none is left to run alone in the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
