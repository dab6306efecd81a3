"""A one-node SLURM with two fake GPUs in a temporary folder, from Debian's slurm-wlm and munge."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")

#: Where Debian keeps the daemons; not on every user's path.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])

#: SLURM's counts matter here, so these may exceed the machine's cores and memory.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
# Seconds until a job that lost its node starts again, instead of two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=20
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
# Without control groups, these three settings end a job that exceeds its memory.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=300
KillWait=2
ReturnToService=1
SchedulerParameters=batch_sched_delay=1,sched_interval=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=16000 Gres=gpu:fake:2
# A job of the partition `urgent` puts others back into the queue, who get ten seconds to end.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=test Nodes={host} Default=YES State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes={host} State=UP PriorityTier=2
"""


class Cluster:
    """The daemons of one cluster; stops exactly those that it started."""

    def __init__(self, cores: int = 4) -> None:
        self.cores = cores
        # Under /tmp and accessible, as munge requires for the folder of its socket.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.plugin = self.folder / "plugin"
        self.daemons: dict[str, subprocess.Popen] = {}
        self.host = platform.node().split(".")[0]

    def __enter__(self) -> Cluster:
        try:
            self._write_files()
            for name in ("munged", "slurmctld", "slurmd"):
                self.start(name)
            self.wait_for(lambda: "idle" in self.call("sinfo", "--noheader", "--format=%t"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if "slurmd" in self.daemons:
                self.clear()
        finally:
            for name in reversed(list(self.daemons)):
                self.stop(name)
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the variables with which SLURM's commands find this cluster."""
        path = os.pathsep.join([str(self.folder / "bin"), PATH])
        return {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self, name: str) -> None:
        """Start a daemon in the foreground of its own process."""
        key, munge = self.folder / "munge.key", str(self.folder / "munge")
        arguments = {
            "munged": [
                "--foreground",
                "--force",
                f"--key-file={key}",
                f"--socket={munge}.socket",
                f"--pid-file={munge}.pid",
                f"--log-file={munge}.log",
                f"--seed-file={munge}.seed",
            ],
            "slurmctld": ["-D", "-f", str(self.folder / "slurm.conf")],
            "slurmd": ["-D", "-f", str(self.folder / "slurm.conf")],
        }[name]
        with (self.folder / f"{name}.out").open("a") as out:
            self.daemons[name] = subprocess.Popen(
                [name, *arguments],
                env={**os.environ, **self.environment()},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if name == "munged":
            self.wait_for((self.folder / "munge.socket").exists)
        if name == "slurmctld":
            self.wait_for(lambda: "UP" in self.call("scontrol", "ping", check=False))

    def stop(self, name: str) -> None:
        """End a daemon and wait until it is gone."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def call(self, *command: str, check: bool = True) -> str:
        """Run one of SLURM's commands and return what it prints."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr + self.logs()
        return done.stdout

    def clear(self) -> None:
        """End all jobs."""
        self.call("scancel", "--user=root", check=False)
        self.wait_for(lambda: not self.call("squeue", "--noheader"))

    def jobs(self) -> dict[str, str]:
        """Return id → state of all jobs that the controller knows, ended ones too."""
        printed = self.call("squeue", "--array", "--states=all", "--noheader", "--format=%i|%T")
        return dict(line.split("|") for line in printed.split())

    def running(self) -> list[str]:
        """Return the ids of the jobs that run, array tasks one by one."""
        printed = self.call("squeue", "--array", "--noheader", "--states=R", "--format=%i")
        return sorted(printed.split())

    def wait_for(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for something to become true; fail with the daemons' logs if it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing happened in {seconds:.0f} s\n{self.logs()}")
            time.sleep(0.1)

    def logs(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
            for pattern in ("*.log", "*.out")
            for path in sorted(self.folder.glob(pattern))
        )

    def _write_files(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        # SLURM sets CUDA_VISIBLE_DEVICES only for character devices; these two are /dev/null.
        for number in range(2):
            os.mknod(self.folder / f"nvidia{number}", 0o20666, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(
            f"NodeName={self.host} Name=gpu Type=fake File={self.folder}/nvidia[0-1]\n"
        )
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        # The plugin drops SLURM_CONF when it calls srun; a real cluster has its file in /etc.
        srun = self.folder / "bin" / "srun"
        srun.parent.mkdir()
        real = shutil.which("srun", path=PATH)
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n')
        srun.chmod(0o755)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=self.host,
                user="root",
                folder=self.folder,
                ports=_ports(2),
                cores=self.cores,
            )
        )


def missing() -> list[str]:
    """List what this machine lacks for a cluster."""
    lacking = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    return lacking if os.geteuid() == 0 else [*lacking, "the rights of root"]


def _ports(count: int) -> list[int]:
    """Return free ports, held open together so that they differ."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
