"""What the rule `train` runs: hand one job to a warm worker and wait for its outcome.

Standard library only, and as little of it as possible: this starts once a job (``python -S -E``),
so it must cost milliseconds. A job takes a *slot* by locking a file, which the kernel frees if the
client dies. Each slot has at most one worker, started by the first client that finds none.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs as much as all the rest
    from typing import Any

#: Seconds that a worker may take to import TensorFlow and open its socket.
START_SECONDS = 300

#: Seconds that a worker's keeper may take to note why the worker died.
END_SECONDS = 5

TAIL_LINES = 15


def main(arguments: list[str]) -> None:
    """Run one job; exit with a message if it fails.

    The arguments are the request as JSON, the record to write, the log, ``train.parquet``,
    ``split.json``, the model file, threads and GPUs; the settings of the run stand in the
    environment.
    """
    request, *files, threads, gpus = arguments
    names = ("record", "log", "rows", "split", "model")
    job = json.loads(os.environ["GRIDLOOM_SETTINGS"])
    job.update((name, os.path.abspath(file)) for name, file in zip(names, files, strict=True))
    job.update(request=json.loads(request), threads=int(threads), gpus=int(gpus))
    if not job["warm"]:
        cold = [sys.executable, "-m", "gridloom.training.worker", "--once", json.dumps(job)]
        os.execv(sys.executable, cold)
    folder = private_folder(job["scope"])
    slot, lock = take_slot(folder, f"{job['threads']}t{job['gpus']}g")
    try:
        connection = connect(folder, slot, job)
        connection.sendall(json.dumps(job).encode() + b"\n")
        answer = connection.makefile().readline()
    except ConnectionError:
        answer = ""
    if not answer:
        fail(job, "the worker that trained this point " + cause_of_death(folder, slot))
    error = json.loads(answer)["error"]
    if error is not None:
        fail(job, error)
    os.close(lock)


def fail(job: dict[str, Any], message: str) -> None:
    """Write a message to the job's log and end."""
    with open(job["log"], "a", encoding="utf-8") as log:
        log.write(message.rstrip() + "\n")
    sys.exit(message)


def private_folder(scope: str) -> str:
    """Return the folder of this Snakemake's workers, made so that no other user can enter.

    It is on the local disk, never beside the results: sockets do not work on network file systems
    and their paths may have 107 bytes only.
    """
    folder = scope
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        status = os.lstat(folder)
        if status.st_uid != os.getuid() or status.st_mode & 0o077 or os.path.islink(folder):
            sys.exit(f"{folder} belongs to someone else or is open to others; remove it")
    return folder


def take_slot(folder: str, kind: str) -> tuple[str, int]:
    """Lock the first free slot of a kind (threads and GPUs); return its name and the lock."""
    number = 0
    while True:
        slot = f"{kind}-{number}"
        lock = os.open(f"{folder}/{slot}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return slot, lock
        except OSError:
            os.close(lock)
            number += 1


def connect(folder: str, slot: str, job: dict[str, Any]) -> socket.socket:
    """Connect to the slot's worker; start one if none answers."""
    path = f"{folder}/{slot}.sock"
    keeper = None
    deadline = time.monotonic() + START_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
        if keeper is None:
            keeper = start_keeper(folder, slot, job)
        ended, _ = os.waitpid(keeper, os.WNOHANG)
        if ended:
            fail(job, "the worker could not start: " + cause_of_death(folder, slot))
        if time.monotonic() > deadline:
            fail(job, f"the worker did not start within {START_SECONDS} s")
        time.sleep(0.02)


def start_keeper(folder: str, slot: str, job: dict[str, Any]) -> int:
    """Start a slot's worker, in a session of its own so that Ctrl-C reaches only the client."""
    for ending in (".sock", ".end"):
        try:
            os.unlink(f"{folder}/{slot}{ending}")
        except FileNotFoundError:
            pass
    settings = {
        "folder": folder,
        "slot": slot,
        "threads": job["threads"],
        "gpus": job["gpus"],
        "gpu_limit": job["gpu_limit"],
        "watch": job["watch"],
        "recycle_trainings": job["recycle_trainings"],
        "recycle_mb": job["recycle_mb"],
    }
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(f"{folder}/{slot}.out", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        arguments = [sys.executable, "-m", "gridloom.training.worker", json.dumps(settings)]
        os.execv(sys.executable, arguments)
    return pid


def cause_of_death(folder: str, slot: str) -> str:
    """Say how a slot's worker ended, with its last lines of output."""
    deadline = time.monotonic() + END_SECONDS
    cause = "ended without a word"
    while time.monotonic() < deadline:
        try:
            with open(f"{folder}/{slot}.end", encoding="utf-8") as note:
                cause = note.read()
            break
        except OSError:
            time.sleep(0.02)
    try:
        with open(f"{folder}/{slot}.out", encoding="utf-8", errors="replace") as out:
            tail = out.readlines()[-TAIL_LINES:]
    except OSError:
        tail = []
    return cause + ("\n" + "".join(tail) if tail else "")


if __name__ == "__main__":
    main(sys.argv[1:])
