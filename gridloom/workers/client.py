"""The client, which the rule `train` runs: it sends a job to a warm worker and waits for the end.

Each job starts a client (``python -S -E -P``), so it must start within milliseconds. It runs from
bytecode (see `gridloom.workers.scope`). For a warm worker, it imports only `os` and modules written
in C: `json`, `signal` and `socket` would take longer than Python's own start. What happens rarely
imports what it needs.

A job takes a *slot* by locking a file, which the kernel unlocks if the client dies. Each slot has
at most one worker. The first client that finds no worker asks the *host* for one, and starts the
host if there is none (see `worker`).
"""

from __future__ import annotations

import _socket
import fcntl
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any, NoReturn
else:
    import _signal

#: Seconds in which a host must open its socket, and then import TensorFlow.
START_SECONDS = 60
IMPORT_SECONDS = 600

#: Seconds in which a host must note why a worker died; it may be importing what scripts need.
END_SECONDS = 10

TAIL_LINES = 15

#: Beginning of the names of hosts.
HOST = "host"

#: Signals that end a job: Ctrl-C, and that of `kill` and of schedulers.
SIGNALS = (_signal.SIGINT, _signal.SIGTERM)

#: Beginning of the cause of a job that such a signal ended.
INTERRUPTED = "was interrupted"

#: Ending of the files in which workers note the epoch of a long training, for the screen.
EPOCH = ".epoch"

#: Beginning of the line of a log that says why its job failed.
ERROR = "error: "

#: Ending of the files that list the records of a job of many.
LIST = ".records"

#: Answer of a worker that has trained a record.
TRAINED = b'{"error": null}\n'

#: Answer of a worker that ends before a job, because a model file of another study may have changed
#: how this job trains.
ANEW = b'{"anew": true}\n'

#: Most records of a job of many that a worker hears of before their turn.
AHEAD = 64

#: Folder of the results that keeps a copy of each record until Snakemake has noted that its job
#: ended well. Until then, Snakemake deletes records: of a job that fails, before it tries a job
#: again, and if it cannot take the note, such as on a full disk.
STORE = "store"

#: File in the folder of a run that shows that it stops, because nothing in it can train.
STOPPED = "stopped"


def main(arguments: list[str]) -> None:
    """Run one job; exit with a message if it fails.

    Settings that all jobs of a study share are in a file of the run's folder.

    Parameters
    ----------
    arguments
        Threads, GPUs, the longest time of a record in minutes, the record to write, whose path says
        what to train, or a file that lists several, the log, ``train.parquet`` and ``split.json``.
    """
    threads, gpus, minutes, *files = arguments
    names = ("record", "log", "rows", "split")
    given = {name: os.path.abspath(file) for name, file in zip(names, files, strict=True)}
    log, asked = given["log"], given["record"]
    begin_log(log)
    is_list = asked.endswith(LIST)
    records = read_list(asked, log) if is_list else [asked]
    logs = [log]
    if is_list:
        # What ends this job before its first record ends this record: a run reports records.
        logs += [begin_record(record) for record in next_of(records)]
        end_at_signals(logs)
    study = read_study(os.environ["GRIDLOOM_SCOPE"], records[0], *logs)
    job: dict[str, Any] = {**given, "threads": int(threads), "gpus": int(gpus)}
    worker = WarmWorker(study, job) if study.warm else ColdWorker(study)
    try:
        if is_list:
            train_many(worker, job, records, minutes, logs)
        else:
            error = worker.train({**job, "ahead": []}, float(minutes), logs)
            if error is not None:
                fail(error, *logs)
    finally:
        worker.close()


def train_many(
    worker: WarmWorker | ColdWorker,
    job: dict[str, Any],
    records: list[str],
    minutes: str,
    logs: list[str],
) -> None:
    """Train the records of a job of many, each with a log of its own.

    The worker may train some of the records that follow in the same lanes. It answers for each in
    its turn.

    A record that fails costs the others nothing: Snakemake deletes all of them, but those that are
    trained are in the store.
    """
    log, listed, folder = job["log"], job["record"], worker.study.folder
    failed = []
    together = True
    try:
        missing = [record for record in records if not take_over(record)]
        for place, record in enumerate(missing, 1):
            if place > 1 and has_stopped(folder, listed):
                left = f"{len(missing) - place + 1:,} of {len(records):,} records"
                fail(f"{INTERRUPTED}: the run stopped before {left}", log)
            own_log = begin_record(record)
            ahead = missing[place : place + AHEAD] if together else []
            one = {**job, "record": record, "log": own_log}
            logs = [own_log, log]
            end_at_signals(logs)
            error = worker.train({**one, "ahead": ahead}, float(minutes), logs)
            ended = error is None or error.startswith(INTERRUPTED)
            ended = ended or has_stopped(folder, listed)
            if ahead and not ended:
                # A record that follows may be the reason: it may end the process, hang, or take
                # the time of this one.
                error = worker.train({**one, "ahead": []}, float(minutes), logs)
                together = error is not None
            if error is None:
                continue
            if error.startswith(INTERRUPTED):
                fail(error, own_log, log)
            note(error, own_log)
            failed.append(own_log)
        if failed:
            count = f"{len(failed):,} of {len(records):,} records"
            fail(f"{count} failed, and the others are kept; the first one's log: {failed[0]}", log)
        for record in records:
            if not os.path.exists(record):  # else Snakemake would delete the others, too
                take_over(record)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", *logs)


def next_of(records: list[str]) -> list[str]:
    """Return the record with which a job of many begins; none if the store has all of them."""
    return [one for one in records if not os.path.exists(store_of(one))][:1]


def begin_record(record: str) -> str:
    """Empty the log of a record of a job of many, and return it."""
    own_log = log_of(record)
    try:
        os.makedirs(os.path.dirname(own_log), exist_ok=True)
    except OSError:  # the job itself says what is wrong
        pass
    begin_log(own_log)
    return own_log


def stop_run(folder: str, watch: int) -> None:
    """Stop a run in which nothing can train: Snakemake starts no job, a job of many no record.

    Parameters
    ----------
    folder
        Folder of the run's workers.
    watch
        Process id of Snakemake, which gets the signal by which a person ends a run.
    """
    try:
        open(f"{folder}/{STOPPED}", "wb").close()
    except OSError:  # jobs of many then go through all of their records
        pass
    os.kill(watch, _signal.SIGTERM)


def has_stopped(folder: str, listed: str) -> bool:
    """Return whether the run of a job of many has stopped.

    Then `stop_run` has marked the folder of the workers. On a cluster, a job has a folder of its
    own, and Snakemake's main process has removed the job's list.
    """
    return os.path.exists(f"{folder}/{STOPPED}") or not os.path.exists(listed)


def read_list(file: str, log: str) -> list[str]:
    """Return the records of a job of many, which Snakemake's main process has listed in a file."""
    import json

    try:
        with open(file, encoding="utf-8") as stream:
            records: list[str] = json.load(stream)
    except (OSError, ValueError):
        fail(f"{file}, the list of this job's records, cannot be read; run `snakemake` again", log)
    return [os.path.abspath(record) for record in records]


def log_of(record: str) -> str:
    """Return the log of a record, as `gridloom.naming.blocks` does."""
    results, _, inside = record.rpartition("/points/")
    return f"{results}/logs/points/{inside.removesuffix('.json')}.log"


def store_of(record: str) -> str:
    """Return the file of the store that keeps a record."""
    import hashlib

    results, _, inside = record.rpartition("/points/")
    return f"{results}/{STORE}/{hashlib.sha256(inside.encode()).hexdigest()[:16]}.json"


def take_over(record: str) -> bool:
    """Put a record in its place if the store has it; return whether it does."""
    try:
        with open(store_of(record), "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        return False
    if not content.endswith(b"}\n"):
        return False
    folder, _, name = record.rpartition("/")
    os.makedirs(folder, exist_ok=True)
    beside = f"{folder}/.{name}.{os.getpid()}"
    try:
        with open(beside, "wb") as stream:
            stream.write(content)
        os.replace(beside, record)
    except OSError:
        remove(beside)
        raise
    return True


def remove(file: str) -> None:
    """Remove a file if it is there."""
    try:
        os.unlink(file)
    except FileNotFoundError:
        pass


class JobError(Exception):
    """Why a record could not be trained."""


class Study:
    """What the run's own process has written down of a study (see `gridloom.workers.scope`).

    Parameters
    ----------
    folder
        Folder of the run's workers.
    features
        Those of ``warm onednn checkpoints`` that its trainings use: all that each job must know.
    settings
        All settings of its trainings as JSON, which the worker reads.
    """

    def __init__(self, folder: str, features: str, settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.warm = "warm" in features.split()
        self.onednn = "onednn" in features.split()
        self.checkpoints = "checkpoints" in features.split()

    def line_for(self, job: dict[str, Any]) -> bytes:
        """Return the line that asks a worker to do a job: one JSON object with the settings."""
        items = "".join([f'"{name}": {as_json(value)}, ' for name, value in job.items()])
        return ("{" + items + self.settings.removeprefix("{") + "\n").encode()


class WarmWorker:
    """The way to the warm worker of a slot, which this process holds until it ends.

    Parameters
    ----------
    job
        The job, or its first.
    """

    def __init__(self, study: Study, job: dict[str, Any]) -> None:
        self.study = study
        self.folder = private_folder(study.folder)
        self.host = host_name(study.onednn)
        kind = f"{job['threads']}t{job['gpus']}g{self.host.removeprefix(HOST)}"
        self.slot, self.lock = take_slot(self.folder, kind)

    def train(self, job: dict[str, Any], minutes: float, logs: list[str]) -> str | None:
        """Train a record; return why it failed, or None.

        Parameters
        ----------
        minutes
            The longest time.
        logs
            Logs that say so if a second signal ends this process.
        """
        try:
            connection = connect(self.study, self.slot, job)
            try:
                connection.settimeout(minutes * 60)
                connection.sendall(self.study.line_for(job))
                if self.study.checkpoints:
                    end_at_signals(logs, lambda: connection.shutdown(_socket.SHUT_WR))
                answer = read_line(connection)
            finally:
                connection.close()
        except JobError as error:
            return str(error)
        except TimeoutError:
            end_worker(self.folder, self.slot, self.host)
            return too_long(minutes)
        except ConnectionError:
            answer = b""
        if not answer:
            end = cause_of_death(self.folder, self.slot, self.host)
            return f"the worker that trained this point {end}"
        if answer == ANEW:
            return self.train(job, minutes, logs)
        return error_in(answer)

    def close(self) -> None:
        """Leave the slot to the next client."""
        os.close(self.lock)


class ColdWorker:
    """A process that trains the records of this job only; another follows one that has died.

    It leads a group, so that what it started ends with it.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.process: Any = None

    def train(self, job: dict[str, Any], minutes: float, logs: list[str]) -> str | None:
        """Train a record; see `WarmWorker.train`."""
        if self.process is None:
            self.start()
        process, connection = self.process, self.connection
        if self.study.checkpoints:
            end_at_signals(logs, process.terminate)
        connection.settimeout(minutes * 60)
        try:
            connection.sendall(self.study.line_for(job))
            answer = read_line(connection)
        except TimeoutError:
            self.close()
            return too_long(minutes)
        except ConnectionError:
            answer = b""
        if not answer:
            status = process.wait()
            self.close()
            return f"the process that trained this point {describe_end(status)}"
        return error_in(answer)

    def start(self) -> None:
        """Start the process; it reads a job a line from a socket, and answers."""
        import socket
        import subprocess

        self.connection, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = worker_command("--once", str(os.getpid()), str(number))
            self.process = subprocess.Popen(command, process_group=0, pass_fds=[number])

    def close(self) -> None:
        """End the process, and what it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, _signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.connection.close()
            self.process = None


def describe_end(status: int) -> str:
    """Say how a process ended.

    Parameters
    ----------
    status
        Its exit status; if negative, the signal that ended it.
    """
    if status < 0:
        import signal

        hint = ", as the kernel does when memory runs out" if status == -signal.SIGKILL else ""
        return f"was ended by signal {-status} ({signal.Signals(-status).name}{hint})"
    return f"ended with exit status {status}"


def begin_log(log_file: str) -> None:
    """Empty a job's log, which would name the cause of an earlier failure as that of this job."""
    try:
        open(log_file, "wb").close()
    except OSError:  # the job itself says what is wrong
        pass


def end_at_signals(logs: list[str], stop: Callable[[], None] | None = None) -> None:
    """End this process at a signal, with a line in its logs and no traceback.

    Parameters
    ----------
    stop
        Asks the training to end after its epoch. With it, only a second signal ends this process.
    """

    def end(number: int, frame: object) -> None:
        nonlocal stop
        if stop is not None:
            ask, stop = stop, None
            ask()
            return
        for one in SIGNALS:
            _signal.signal(one, _signal.SIG_DFL)
        fail(INTERRUPTED, *logs)

    for one in SIGNALS:
        _signal.signal(one, end)


def too_long(minutes: float) -> str:
    """Say that a job was ended at its longest run time."""
    return (
        f"this training did not end within {minutes:g} minutes and was ended; if it only "
        "needs longer, raise `resources: {train: {runtime: MINUTES}}`, else see where it hangs"
    )


def read_study(folder: str, record: str, *logs: str) -> Study:
    """Read what this run has written down of the study that a record belongs to.

    A workflow may hold several studies, which are distinguished by set-up and results folder. On a
    cluster, each job's Snakemake reads the study again, and its set-up may have changed since the
    record was planned.
    """
    results, _, inside = record.rpartition("/points/")
    wanted = as_json(results)
    try:
        with open(studies_file(folder, inside.partition("/")[0]), encoding="utf-8") as stream:
            for line in stream:
                found, features, settings = line.rstrip("\n").split("\t")
                if found == wanted:
                    return Study(folder, features, settings)
    except OSError:
        pass
    cause = f"no study of this run trains {record}; run `snakemake` again"
    if os.path.isdir(folder):
        cause = (
            "the study, its model file, a module of it or Gridloom changed after this run was "
            "planned; run `snakemake` again: it trains the new version, and keeps what the old "
            "one trained"
        )
    fail(cause, *logs)


def studies_file(folder: str, setup: str) -> str:
    """Return the file that has a line for each study of a set-up.

    The results folder as JSON, `features` and `settings` (see `Study`), separated by tabs.
    """
    return f"{folder}/{setup}.studies"


def as_json(value: str | int | list[str] | None) -> str:
    """Return a value as JSON."""
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(as_json, value))}]"
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    import json

    return json.dumps(value)


def read_line(connection: _socket.socket) -> bytes:
    """Return the line that the other side sends; nothing if it closes the connection before."""
    line = b""
    while b"\n" not in line:
        received = connection.recv(65536)
        if not received:
            return b""
        line += received
    return line[: line.index(b"\n") + 1]


def error_in(answer: bytes) -> str | None:
    """Return why a worker could not train a record, by its answer; None if it could."""
    if answer == TRAINED:
        return None
    import json

    error: str | None = json.loads(answer)["error"]
    return error


def worker_command(*arguments: str) -> list[str]:
    """Return the command that runs `worker` from the same library as this file.

    The working folder may contain another copy of the library, so it is not searched.
    """
    source = worker_command.__code__.co_filename  # the bytecode of a job's client is elsewhere
    root = os.path.abspath(source).rpartition("/gridloom/")[0]
    program = (
        "import sys; from importlib.util import find_spec; root = sys.argv.pop(1); "
        "found = find_spec('gridloom'); "
        "found and found.origin == root + '/gridloom/__init__.py' or sys.path.insert(0, root); "
        "from gridloom.workers.worker import main; sys.exit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-P", "-c", program, root, *arguments]


def note(message: str, *logs: str) -> None:
    """Write why a job failed to its logs; exit with the message if that is not possible."""
    line = f"{ERROR}{message.rstrip()}"
    try:
        for file in logs:
            with open(file, "a", encoding="utf-8") as log:
                log.write(line + "\n")
    except OSError:  # the message may be about a full disk
        sys.exit(line)


def fail(message: str, *logs: str) -> NoReturn:
    """Write a message to a job's logs and exit."""
    note(message, *logs)
    sys.exit(1)


def host_name(onednn: bool) -> str:
    """Return the name of the host whose workers use oneDNN, or of the one whose do not.

    A process can use oneDNN or not. A run has two hosts only if its studies differ in this.
    """
    return HOST if onednn else f"{HOST}-plain"


def private_folder(scope: str) -> str:
    """Create and return the folder of this Snakemake's workers, which no other user can enter.

    It is on the local disk, never beside the results, because sockets do not work on network file
    systems and their paths may have only 107 bytes.
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


def connect(study: Study, slot: str, job: dict[str, Any]) -> _socket.socket:
    """Connect to the slot's worker; if none answers, ask the host to start one.

    Raises
    ------
    JobError
        If none could start.
    """
    folder = study.folder
    worker = try_connecting(f"{folder}/{slot}.sock")
    if worker is not None:
        return worker
    import json

    for ending in (".sock", ".end"):
        try:
            os.unlink(f"{folder}/{slot}{ending}")
        except FileNotFoundError:
            pass
    settings = json.loads(study.settings)
    limits = {key: settings[key] for key in ("gpu_limit", "recycle_trainings", "recycle_mb")}
    asked = {"slot": slot, "threads": job["threads"], "gpus": job["gpus"], **limits}
    connection = connect_to_host(folder, settings["watch"], study.onednn)
    connection.settimeout(IMPORT_SECONDS)
    try:
        connection.sendall(json.dumps(asked).encode() + b"\n")
        answer = read_line(connection).decode().strip()
    except TimeoutError:
        answer = f"its host did not answer within {IMPORT_SECONDS} s"
    finally:
        connection.close()
    if answer == "ready":
        worker = try_connecting(f"{folder}/{slot}.sock")
        if worker is not None:
            return worker
    cause = answer or cause_of_death(folder, slot, host_name(study.onednn))
    raise JobError(f"no worker could start: {cause}")


def end_worker(folder: str, slot: str, host: str) -> None:
    """Have the host end a slot's worker, and wait until it has: the next client gets a new one."""
    connection = try_connecting(f"{folder}/{host}.sock")
    if connection is not None:
        connection.sendall(f'{{"end": {as_json(slot)}}}\n'.encode())
        cause_of_death(folder, slot, host)
        connection.close()


def try_connecting(path: str) -> _socket.socket | None:
    """Return a connection to a socket, or None if no process listens there."""
    connection = _socket.socket(_socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def connect_to_host(folder: str, watch: int, onednn: bool) -> _socket.socket:
    """Connect to the host; start it if there is none.

    Raises
    ------
    JobError
        If it does not start.
    """
    name = host_name(onednn)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        host = try_connecting(f"{folder}/{name}.sock")
        if host is not None:
            return host
        start_host(folder, watch, onednn)
        time.sleep(0.01)
    printed = tail(folder, name)
    raise JobError(f"the host of the workers did not start within {START_SECONDS} s\n{printed}")


def start_host(folder: str, watch: int, onednn: bool) -> None:
    """Start the host unless one is alive or starting; the host holds a lock while it lives.

    It gets its own session, so that Ctrl-C reaches only the clients.
    """
    name = host_name(onednn)
    lock = os.open(f"{folder}/{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return
    os.set_inheritable(lock, True)
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(f"{folder}/{name}.out", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        command = worker_command("--host", folder, str(watch), str(int(onednn)))
        os.execv(sys.executable, command)
    os.close(lock)


def cause_of_death(folder: str, slot: str, host: str) -> str:
    """Say how a slot's worker ended, with its last lines of output."""
    deadline = time.monotonic() + END_SECONDS
    cause = "ended, and its host with it"
    while time.monotonic() < deadline:
        try:
            with open(f"{folder}/{slot}.end", encoding="utf-8") as note:
                cause = note.read()
            break
        except OSError:
            time.sleep(0.02)
    return f"{cause}\n{tail(folder, host)}"


def tail(folder: str, host: str) -> str:
    """Return the last lines that a host and its workers printed outside any job."""
    try:
        with open(f"{folder}/{host}.out", encoding="utf-8", errors="replace") as out:
            return "".join(out.readlines()[-TAIL_LINES:])
    except OSError:
        return ""


if __name__ == "__main__":
    end_at_signals([os.path.abspath(sys.argv[5])])  # all arguments exist: Snakemake calls this
    main(sys.argv[1:])
