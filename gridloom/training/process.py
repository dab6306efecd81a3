"""What a process sets before TensorFlow computes in it: libraries, cores and GPUs."""

from __future__ import annotations

import os

from gridloom.training.devices import NO_DEVICE


def set_libraries() -> None:
    """Set what the libraries read when they are imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN may order sums differently from machine to machine.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    # Threads would not live on in a fork; TensorFlow has pools of its own.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


def set_devices(threads: int, devices: list[str]) -> None:
    """Set what TensorFlow reads at its first operation: cores and GPUs."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or NO_DEVICE
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")
