"""Settings of a process for TensorFlow: libraries, cores, GPUs, and the file for its output."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from gridloom.errors import BackendError
from gridloom.workers.devices import NO_DEVICE

BACKEND = "tensorflow"

#: Instructions that x86 processors since 2013 have, in the words of oneDNN.
COMMON_ISA = "AVX2"


def require_backend() -> None:
    """Check that Keras will run on TensorFlow, without importing it.

    Keras takes the backend from the environment, else from its file of settings.

    Raises
    ------
    BackendError
        If it is another backend.
    """
    named = os.environ.get("KERAS_BACKEND")
    if named:
        if named != BACKEND:
            raise BackendError(
                f"KERAS_BACKEND is {named!r}, but Gridloom trains on {BACKEND} only; unset it, or "
                f"set it to {BACKEND}"
            )
        return
    file = _keras_home() / "keras.json"
    with contextlib.suppress(OSError, ValueError):  # Keras ignores such a file, too
        settings = json.loads(file.read_text(encoding="utf-8"))
        written = settings.get("backend", BACKEND) if isinstance(settings, dict) else BACKEND
        if written != BACKEND:
            raise BackendError(
                f"{file}: backend is {written!r}, but Gridloom trains on {BACKEND} only; change it "
                f"there, or set KERAS_BACKEND={BACKEND}"
            )


def _keras_home() -> Path:
    """Return Keras's folder by Keras's own rule, because importing Keras takes seconds."""
    home = Path("~").expanduser()
    default = (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108
    return Path(os.environ.get("KERAS_HOME", default)).expanduser()


def set_libraries(onednn: bool) -> None:
    """Set the environment variables that libraries read when they are imported.

    Parameters
    ----------
    onednn
        Whether TensorFlow uses oneDNN, as in the study.

    Raises
    ------
    BackendError
        If Keras would not run on TensorFlow.
    """
    require_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
    # Even without it, matrix products use oneDNN's kernel for the processor, and kernels differ in
    # the order of sums.
    os.environ["ONEDNN_MAX_CPU_ISA"] = "DEFAULT" if onednn else COMMON_ISA
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    # Threads do not survive a fork; TensorFlow has its own pools.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import large libraries without garbage collection, and exclude their objects from it.

    The collector would traverse a million objects repeatedly. This takes a seventh of the time of
    importing TensorFlow, then 0.2 s in each collection, and in a fork it writes to shared pages.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def set_devices(threads: int, devices: list[str]) -> None:
    """Set the cores and GPUs of TensorFlow, which it reads at its first operation."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or NO_DEVICE
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")


def memory_mb() -> float:
    """Return the peak memory of this process, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


@contextlib.contextmanager
def output_to(path: Path | str) -> Iterator[None]:
    """Append the output of this process, also from C++, to a file while the block runs.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    log = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    kept = [os.dup(1), os.dup(2)]
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # on a full disk, only this output is lost
            sys.stdout.flush()
            sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
