"""The warm worker: a process that keeps TensorFlow and traced graphs between jobs.

Two processes a slot. The *keeper* holds the GPU lease, starts the worker, and waits: if the
worker dies it notes why, if Snakemake dies it ends the worker, and it removes the slot's files.
The *worker* serves one job after another over a Unix socket, one JSON line each way; what the
training prints goes to the job's log. It ends at once when its client goes away, so that Ctrl-C
stops the work, and anew after so many trainings or so much memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridloom.errors import GridloomError, StudyError, nearest
from gridloom.training.devices import NO_DEVICE, lease, visible_devices

#: How often the keeper looks after Snakemake and the worker where the kernel cannot tell it.
POLL_SECONDS = 0.2

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Keep a worker, or train one job in this process (``--once``)."""
    if arguments[0] == "--once":
        return train_once(json.loads(arguments[1]))
    return keep(json.loads(arguments[0]))


def train_once(job: Mapping[str, Any]) -> int:
    """Train one job without a warm worker; the record is the same, byte for byte."""
    with Path(job["log"]).open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        devices = _devices(job, Path(job["scope"]))
    except GridloomError as error:
        return _failed(str(error))
    _prepare_tensorflow(job["threads"], devices)
    return 0 if _train(job, _trainer()) is None else 1


def _failed(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def _devices(settings: Mapping[str, Any], folder: Path) -> list[str]:
    if not settings["gpus"]:
        return []
    folder.mkdir(mode=0o700, exist_ok=True)
    return lease(folder, settings["gpus"], visible_devices(os.environ), settings["gpu_limit"])


def _prepare_tensorflow(threads: int, devices: list[str]) -> None:
    """Set what TensorFlow reads when it is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices) or NO_DEVICE
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN may order sums differently from machine to machine.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")


def keep(settings: Mapping[str, Any]) -> int:
    """Run a worker until it or Snakemake ends; leave nothing behind."""
    folder, slot = Path(settings["folder"]), settings["slot"]
    listener = socket.socket(socket.AF_UNIX)
    try:
        devices = _devices(settings, folder)
    except GridloomError as error:
        print(error, file=sys.stderr)
        (folder / f"{slot}.end").write_text("no GPU for it", encoding="utf-8")
        return 1
    keeper = os.getpid()
    worker = os.fork()
    if worker == 0:
        _end_with_parent(keeper)
        _prepare_tensorflow(settings["threads"], devices)
        serve(listener, settings)
        os._exit(0)
    listener.close()
    status = _wait(worker, settings["watch"])
    if status is None:
        _remove(folder)
        return 0
    for ending in (".sock", ".beside"):
        (folder / f"{slot}{ending}").unlink(missing_ok=True)
    if status != 0:
        note = folder / f"{slot}.beside"
        note.write_text(_told(status), encoding="utf-8")
        note.rename(folder / f"{slot}.end")
    return 0


def _end_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent dies, where the kernel can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _wait(worker: int, watched: int) -> int | None:
    """Wait for the worker; return its wait status, or None if the watched process ended first."""
    watch = os.pidfd_open(watched) if _alive(watched) and hasattr(os, "pidfd_open") else None
    child = os.pidfd_open(worker) if hasattr(os, "pidfd_open") else None
    while True:
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return status
        if watch is not None and child is not None:
            ready, _, _ = select.select([watch, child], [], [])
            gone = watch in ready and child not in ready
        else:
            time.sleep(POLL_SECONDS)
            gone = not _alive(watched)
        if gone:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            return None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _told(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = ", as the kernel does when memory runs out" if number == signal.SIGKILL else ""
        return f"was ended by signal {number} ({signal.Signals(number).name}{hint})"
    return f"ended with exit status {os.WEXITSTATUS(status)}"


def _remove(folder: Path) -> None:
    """Remove the folder of a Snakemake that is gone; its other keepers may be at it too."""
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def serve(listener: socket.socket, settings: Mapping[str, Any]) -> None:
    """Serve one job after another until there were enough trainings or too much memory."""
    trainer = _trainer()
    address = Path(settings["folder"]) / f"{settings['slot']}.sock"
    # Bound only now: a client that can connect finds TensorFlow imported.
    listener.bind(str(address))
    listener.listen(1)
    trainings = 0
    while trainings < settings["recycle_trainings"] and _memory_mb() < settings["recycle_mb"]:
        connection, _ = listener.accept()
        with connection:
            line = connection.makefile(encoding="utf-8").readline()
            if not line:
                continue
            job = json.loads(line)
            done = threading.Event()
            threading.Thread(target=_end_with_client, args=(connection, done), daemon=True).start()
            with _Output(job["log"]):
                error = _train(job, trainer)
            first, last = job["request"]["repetitions"]
            trainings += last - first + 1
            done.set()
            if trainings >= settings["recycle_trainings"] or _memory_mb() >= settings["recycle_mb"]:
                listener.close()  # before the answer: the next client must not come here
                address.unlink()
            connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _end_with_client(connection: socket.socket, done: threading.Event) -> None:
    """End this process if the client hangs up before its job is done."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP if hasattr(select, "POLLRDHUP") else select.POLLHUP)
    while not done.is_set():
        if poll.poll(1000) and not done.is_set():
            os._exit(1)


def _memory_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


class _Output:
    """Sends what this process prints, also from C++, to a file for a while."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        self._kept = [os.dup(1), os.dup(2)]
        log = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def _trainer() -> Any:
    from gridloom.training.run import Trainer

    return Trainer()


def _train(job: Mapping[str, Any], trainer: Any) -> str | None:
    """Train a job and write its record; return what went wrong, or None.

    A person's mistake is one message; anything else comes with its traceback, in the log.
    """
    from gridloom.training.record import write_record
    from gridloom.training.run import read_request

    try:
        record = trainer.run(read_request(job))
        measured = record["trainings"][0]["history"]
        if job["objective"] not in measured:
            hint = nearest(job["objective"], measured) or f"; there are {', '.join(measured)}"
            raise StudyError(f"objective.metric: there is no {job['objective']!r}{hint}")
        write_record(Path(job["record"]), record)
    except GridloomError as error:
        cause = error.__cause__
        if cause is not None:
            traceback.print_exception(cause)
        print(error, file=sys.stderr)
        return str(error)
    except MemoryError:
        return "this training needs more memory than there is"
    except Exception as error:
        traceback.print_exc()
        return f"training failed: {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
