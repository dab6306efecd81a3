"""GPUs: which there are, and leases on them, without importing TensorFlow.

Standard library only. A lease is a lock on a file, which the kernel frees when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gridloom.errors import GridloomError

#: Hides every GPU from a process that declares none.
NO_DEVICE = "-1"


class DeviceError(GridloomError):
    """A training asks for GPUs that are not there."""


def visible_devices(environment: Mapping[str, str]) -> list[str]:
    """List the GPUs of this machine, as `CUDA_VISIBLE_DEVICES` would name them.

    A scheduler's `CUDA_VISIBLE_DEVICES` is trusted; without it ``nvidia-smi -L`` is asked.
    """
    told = environment.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        devices = [device.strip() for device in told.split(",")]
        # As CUDA does: what stands behind an invalid entry is not visible.
        valid = []
        for device in devices:
            if not device or device.startswith("-"):
                break
            valid.append(device)
        return valid
    if shutil.which("nvidia-smi", path=environment.get("PATH")) is None:
        return []
    listing = subprocess.run(
        ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, env=dict(environment)
    )
    found = [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(found))]


def require_devices(rule: str, wanted: int, devices: list[str]) -> list[str]:
    """Return as many of the GPUs as a rule asks for.

    Raises
    ------
    DeviceError
        If there are fewer.
    """
    if len(devices) < wanted:
        raise DeviceError(
            f"resources.{rule}.gpu: asks for {wanted} GPU{'s' * (wanted > 1)}, this machine shows "
            f"{len(devices)}; set it to {len(devices)}, or check nvidia-smi and "
            "CUDA_VISIBLE_DEVICES"
        )
    return devices[:wanted]


def lease(folder: Path, wanted: int, devices: list[str], trainings: int | None) -> list[str]:
    """Take a lease on GPUs for as long as this process (and what it forks) lives.

    Parameters
    ----------
    folder
        Where the lock files are; shared by all who compete.
    wanted
        GPUs that one training asks for.
    devices
        What `visible_devices` listed.
    trainings
        GPUs that Snakemake hands out in all (``--resources gpu=N``); None if it does not limit
        them. With N over D devices, each serves ⌈N / D⌉ trainings at once and no more.

    Returns
    -------
    list of str
        The devices leased, those with the fewest leases first.

    Raises
    ------
    DeviceError
        If there are fewer devices than wanted, or none is free.
    """
    require_devices("train", wanted, devices)
    share = -(-trainings // len(devices)) if trainings else os.cpu_count() or 1
    leased: list[str] = []
    for turn in range(share):
        for place, device in enumerate(devices):
            if device in leased:
                continue
            lock = os.open(folder / f"gpu-{place}-{turn}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            os.set_inheritable(lock, True)
            leased.append(device)
            if len(leased) == wanted:
                return leased
    raise DeviceError(
        f"resources.train.gpu: all {len(devices)} GPUs have {share} trainings already; give "
        "Snakemake their number, such as --resources gpu=" + str(len(devices))
    )
