"""The machine and the packages that a training ran with."""

from __future__ import annotations

import os
import platform
import socket
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow as tf

PACKAGES = ("gridloom", "keras", "numpy", "pandas", "scikit-learn", "tensorflow")


def environment() -> dict[str, Any]:
    """Describe the machine and the packages that a training ran with."""
    devices = tf.config.list_physical_devices("GPU")
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "packages": _versions(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "gpus": [os.environ.get("CUDA_VISIBLE_DEVICES", "all")] if devices else [],
    }


@cache
def _cpu() -> str:
    """Return the name of the processor's model; an empty text if the system does not give it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


@cache
def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}
