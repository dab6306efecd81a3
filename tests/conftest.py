"""What all tests share."""

from __future__ import annotations

import os

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
