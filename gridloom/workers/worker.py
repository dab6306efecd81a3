"""Warm workers: processes that keep TensorFlow and traced graphs between jobs.

Each Snakemake run has one *host*, which imports TensorFlow once and forks a *worker* for each slot,
and a process for each task beside the trainings (see `gridloom.workers.task`). So a worker starts
in milliseconds, regardless of how many there are and how often they are restarted. Forking is safe
because importing TensorFlow starts no threads: they start with the first operation, in the child.
The host notes why a worker died. When Snakemake is gone, the host ends all workers and removes
their folder.

A worker serves one job after another over a Unix socket, one JSON line each way. The output of a
training goes to the job's log. A worker ends at once when its client disconnects, so that Ctrl-C
stops the work. If the client asks, a worker that keeps checkpoints ends its training after the
current epoch. It also ends after a number of trainings, or above a limit of memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from gridloom.errors import MAX_MESSAGE, GridloomError, format_traceback, shortened
from gridloom.files import atomic_path, write_text
from gridloom.naming.blocks import unfinished_of
from gridloom.workers import client
from gridloom.workers.devices import NO_DEVICE, lease, visible_devices
from gridloom.workers.job import Job, Slot
from gridloom.workers.process import loading, memory_mb, output_to, set_devices, set_libraries
from gridloom.workers.scope import alive
from gridloom.workers.task import Task, run_script

#: Seconds between two checks of the host on Snakemake and the workers.
POLL_SECONDS = 0.2

#: What scripts of rules import, in the end. Imported once, while trainings run, it takes half a
#: second; in each fork that runs a script, it would take twice as much in all.
FOR_SCRIPTS = ("snakemake.script", "gridloom.figures.evidence", "gridloom.report.page")

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the host (``--host FOLDER PROCESS ONEDNN``) or jobs here (``--once PARENT SOCKET``)."""
    match arguments:
        case ["--once", parent, number]:
            _end_with_parent(int(parent))
            train_once(socket.socket(fileno=int(number)))
            return 0
        case ["--host", folder, watched, onednn]:
            Host(Path(folder), int(watched), bool(int(onednn))).run()
            return 0
    return 2


def train_once(connection: socket.socket) -> None:
    """Train the jobs of one client without a warm worker, with the same numbers in the records.

    Parameters
    ----------
    connection
        From which it reads a job a line, and to which it answers.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    trainer: Any = None
    for line in connection.makefile(encoding="utf-8"):
        job = Job.from_json(json.loads(line))
        error: str | None
        try:
            with output_to(job.log):
                if trainer is None:
                    trainer = _cold_trainer(job, stop)
                error = _train(job, trainer)
        except (GridloomError, SystemExit) as problem:
            error = str(problem)
        except OSError as problem:
            error = f"{job.log}: cannot be written ({problem.strerror})"
        connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _cold_trainer(job: Job, stop: threading.Event) -> Any:
    devices = _devices(job.scope, job.gpus, job.settings.gpu_limit)
    set_libraries(job.settings.setup.onednn)
    with loading():
        set_devices(job.threads, devices)
        return _trainer(stop)


def _devices(folder: Path, gpus: int, limit: int | None) -> list[str]:
    if not gpus:
        return []
    client.private_folder(str(folder))
    return lease(folder, gpus, visible_devices(os.environ), limit)


class Host:
    """Imports TensorFlow once and forks workers from itself.

    Parameters
    ----------
    folder
        Folder in which clients connect to workers (see `gridloom.workers.scope`).
    watched
        Process id of Snakemake; the host and all workers end with it.
    onednn
        Whether TensorFlow uses oneDNN in all of them.
    """

    def __init__(self, folder: Path, watched: int, onednn: bool) -> None:
        self.folder = folder
        self.watched = watched
        self.onednn = onednn
        self.slots: dict[int, str] = {}
        self.refusal: str | None = None  # the reason if no worker can start
        self._scripts = 0  # so many were run
        self.listener = socket.socket(socket.AF_UNIX)

    def run(self) -> None:
        """Serve until the watched process is gone."""
        address = self.folder / f"{client.host_name(self.onednn)}.sock"
        address.unlink(missing_ok=True)
        # Clients may connect and wait while TensorFlow is being imported.
        self.listener.bind(str(address))
        self.listener.listen(128)
        try:
            set_libraries(self.onednn)
        except GridloomError as error:
            self.refusal = str(error)
        else:
            with loading():
                import gridloom.training.trainer  # noqa: F401

        modules = list(FOR_SCRIPTS)
        while alive(self.watched) and self.folder.exists():
            ready, _, _ = select.select([self.listener], [], [], POLL_SECONDS)
            if ready:
                connection, _ = self.listener.accept()
                with connection:
                    self._serve_client(connection)
            elif self.slots and modules:
                # A script that needs what cannot be imported says so.
                with loading(), contextlib.suppress(Exception):
                    import_module(modules.pop(0))
            self._reap()
        for worker in self.slots:
            _end_group(worker)
        for path in self.folder.glob("*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _serve_client(self, connection: socket.socket) -> None:
        """Do what a client asks for: fork a worker for its slot or a task, or end its worker."""
        line = connection.makefile(encoding="utf-8").readline()
        if not line:
            return
        asked = json.loads(line)
        if "end" in asked:
            for worker, slot in self.slots.items():
                if slot == asked["end"]:
                    _end_group(worker)
        elif "task" in asked:
            task = Task(**asked["task"])
            # After a refusal, the client gets no answer; it then finds the reason by itself.
            if self.refusal is None:
                self._fork("task", connection, lambda: _answer(task, connection))
        elif "script" in asked:
            if self.refusal is None:
                said = self.folder / f"script-{self._scripts}.said"
                self._scripts += 1
                run = partial(_answer_script, asked["script"], said, connection)
                self._fork("script", connection, run)
        elif self.refusal is not None:
            connection.sendall(f"{self.refusal}\n".encode())
        else:
            wanted = Slot(**asked)
            self._fork(wanted.slot, connection, lambda: serve(self.folder, wanted, connection))

    def _fork(self, slot: str, connection: socket.socket, work: Callable[[], None]) -> None:
        """Do something in a fork of this process.

        Parameters
        ----------
        slot
            What the fork serves.
        connection
            Connection to the client, which gets a message if this fails.
        """
        host = os.getpid()
        worker = os.fork()
        # A group of its own, so that processes that a training starts end with it. Parent and child
        # both set it, because either may run first.
        with contextlib.suppress(OSError):
            os.setpgid(worker, worker)
        if worker:
            self.slots[worker] = slot
            return
        status = 1
        try:
            _end_with_parent(host)
            self.listener.close()
            work()
            status = 0
        except GridloomError as error:
            with contextlib.suppress(OSError):
                connection.sendall(f"{error}\n".encode())
        except ConnectionError:  # its client was killed, so nobody waits for the answer
            pass
        except BaseException as error:
            print(format_traceback(error), file=sys.stderr)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        """Note how workers ended, for the clients that wait for them."""
        while self.slots:
            worker, status = os.waitpid(-1, os.WNOHANG)
            if not worker:
                return
            slot = self.slots.pop(worker)
            _end_group(worker)  # what its trainings started may still run
            if status != 0:
                cause = client.describe_end(os.waitstatus_to_exitcode(status))
                write_text(self.folder / f"{slot}.end", cause)


def _end_group(worker: int) -> None:
    """End a worker and the processes that its trainings started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)


def _end_with_parent(parent: int) -> None:
    """Ask the kernel, if it is Linux, to end this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _answer(task: Task, connection: socket.socket) -> None:
    """Run a task, and report to its client how it ended."""
    with _ending_with(connection):
        error = task.run()
    connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _answer_script(script: str, said: Path, connection: socket.socket) -> None:
    """Run a rule's script, and report to its client how it ended and what it printed."""
    os.environ["CUDA_VISIBLE_DEVICES"] = NO_DEVICE
    with _ending_with(connection):
        status = run_script(script, said)
    printed = said.read_text(encoding="utf-8", errors="replace")
    said.unlink()
    answer = {"status": status, "said": printed}
    connection.sendall(json.dumps(answer).encode() + b"\n")


@contextlib.contextmanager
def _ending_with(connection: socket.socket) -> Iterator[None]:
    """End this process if the client disconnects during the block."""
    done, stop = threading.Event(), threading.Event()  # nothing stops half-way
    watch = (connection, done, stop)
    threading.Thread(target=_end_with_client, args=watch, daemon=True).start()
    yield
    done.set()


def serve(folder: Path, slot: Slot, asked: socket.socket) -> None:
    """Serve one job after another up to the slot's limits of trainings and memory.

    A job of another study ends the worker untrained if a model file before it could have changed
    Keras or TensorFlow; its client then asks for a new worker.

    Parameters
    ----------
    folder
        Folder in which clients connect to workers.
    slot
        The slot that this worker serves.
    asked
        Connection of the client that asked for this worker.
    """
    set_devices(slot.threads, _devices(folder, slot.gpus, slot.gpu_limit))
    from gridloom.training.opening import needs_new_process

    trainer = _trainer(threading.Event())
    address = folder / f"{slot.slot}.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(1)
    asked.sendall(b"ready\n")
    asked.close()
    trainings = 0
    while trainings < slot.recycle_trainings and memory_mb() < slot.recycle_mb:
        connection, _ = listener.accept()
        with connection:
            line = connection.makefile(encoding="utf-8").readline()
            if not line:
                continue
            job = Job.from_json(json.loads(line))
            if needs_new_process(job.request):
                _leave(listener, address)
                connection.sendall(client.ANEW)
                return
            done = threading.Event()
            trainer.stop.clear()
            note = partial(_note_epoch, folder / f"{slot.slot}{client.EPOCH}", job.record)
            watch = (connection, done, trainer.stop, note)
            threading.Thread(target=_end_with_client, args=watch, daemon=True).start()
            try:
                with output_to(job.log):
                    error = _train(job, trainer)
            except OSError as problem:
                error = f"{job.log}: cannot be written ({problem.strerror})"
            trainings += job.trainings
            done.set()
            if trainings >= slot.recycle_trainings or memory_mb() >= slot.recycle_mb:
                _leave(listener, address)
            connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _leave(listener: socket.socket, address: Path) -> None:
    """Stop listening, before an answer after which a client connects to the next worker."""
    listener.close()
    address.unlink()


def _end_with_client(
    connection: socket.socket,
    done: threading.Event,
    stop: threading.Event,
    note: Callable[[], None] | None = None,
) -> None:
    """End this process if the client disconnects before its job is done.

    A client that has sent a job can only close its half of the connection, which asks to stop, or
    all of it.

    Parameters
    ----------
    note
        Called each second from the first on, so that a short job pays nothing.
    """
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while not done.is_set():
        events = poll.poll(1000)
        if done.is_set():
            return
        for _, event in events:
            if event != select.POLLIN:
                os._exit(1)
            stop.set()
            poll.modify(connection, 0)  # POLLHUP remains
        if not events and note is not None:
            note()


def _note_epoch(file: Path, record: Path) -> None:
    """Write where the fit of a record stands, for the screen of the run."""
    from gridloom.engines.epochs import last_fit

    fit = last_fit()
    if fit is not None:
        with contextlib.suppress(GridloomError, OSError):  # on a full disk, only this is lost
            write_text(file, json.dumps({"record": str(record), **fit.as_json()}))


def _trainer(stop: threading.Event) -> Any:
    from gridloom.training.trainer import Trainer

    return Trainer(stop)


def _train(job: Job, trainer: Any) -> str | None:
    """Train a job and write its record; return the message of an error, or None.

    A user's mistake is one message; for other errors, the log has the traceback. An objective that
    no network measures would fail every job, so it also stops the run.
    """
    from gridloom.engines import epochs
    from gridloom.networks.error_text import OUT_OF_MEMORY, ran_out_of_memory
    from gridloom.records import write_record
    from gridloom.training.objective import ObjectiveError
    from gridloom.training.unfinished import remove_unfinished

    epochs.begin(None)  # the fit of the job before has ended
    try:
        if not client.take_over(str(job.record)):
            record = trainer.run(job.request, job.ahead)
            # In the same folder, because a record names its point by its folder.
            beside = job.record.with_name(f".{job.record.name}")
            write_record(beside, record)
            with atomic_path(client.store_of(str(job.record))) as kept:
                shutil.copyfile(beside, kept)
            beside.replace(job.record)
        remove_unfinished(unfinished_of(job.record))
    except ObjectiveError as error:
        client.stop_run(str(job.scope), job.watch)
        return str(error)
    except GridloomError as error:
        if error.__cause__ is not None:
            print(format_traceback(error.__cause__), file=sys.stderr)
        return shortened(str(error), MAX_MESSAGE)
    except Exception as error:
        print(format_traceback(error), file=sys.stderr)
        if ran_out_of_memory(error):
            return f"this training {OUT_OF_MEMORY}"
        return shortened(f"training failed: {type(error).__name__}: {error}", MAX_MESSAGE)
    return None
