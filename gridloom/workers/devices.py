"""The GPUs of a machine, and leases on them, without importing TensorFlow.

Standard library only. A lease is a file lock, which the kernel frees when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gridloom.errors import GridloomError

#: Value of `CUDA_VISIBLE_DEVICES` that hides every GPU from a process.
NO_DEVICE = "-1"


class DeviceError(GridloomError):
    """A training asks for GPUs that do not exist or are not free."""


def visible_devices(environment: Mapping[str, str]) -> list[str]:
    """List the GPUs of this machine, as in `CUDA_VISIBLE_DEVICES`.

    If `CUDA_VISIBLE_DEVICES` is set, as schedulers do, its devices are returned; else those that
    ``nvidia-smi -L`` lists.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        devices = [device.strip() for device in visible.split(",")]
        # As in CUDA, entries after an invalid one are not visible.
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
    """Return the first `wanted` GPUs for a rule.

    Raises
    ------
    DeviceError
        If there are fewer.
    """
    if len(devices) < wanted:
        raise DeviceError(
            f"resources.{rule}.gpu: asks for {wanted} GPU{'s' * (wanted > 1)}, but this machine "
            f"shows {len(devices)}; set it to {len(devices)}, or check nvidia-smi and "
            "CUDA_VISIBLE_DEVICES"
        )
    return devices[:wanted]


def lease(folder: Path, wanted: int, devices: list[str], trainings: int | None) -> list[str]:
    """Take a lease on GPUs while this process and its forks live.

    Parameters
    ----------
    folder
        Folder of the lock files; shared by all competing processes.
    wanted
        GPUs that one training asks for.
    devices
        From `visible_devices`.
    trainings
        Total number of GPUs that Snakemake assigns (``--resources gpu=N``); None for no limit.
        With N on D devices, each device serves at most ⌈N / D⌉ trainings at once.

    Returns
    -------
    list of str
        The leased devices, those with the fewest leases first.

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
