"""Promises of the GPU leases, with declared devices: trainings are shared out evenly."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections import Counter

import pytest

from gridloom.workers.devices import DeviceError, lease, require_devices, visible_devices

HOLDER = """
import sys, json
from pathlib import Path
from gridloom.workers.devices import lease
folder, wanted, limit = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
try:
    print(json.dumps(lease(Path(folder), wanted, ["7", "9"], limit)), flush=True)
except Exception as error:
    print(json.dumps(str(error)), flush=True)
sys.stdin.read()
"""


class Holders:
    """Processes that each hold a lease."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def take(self, wanted=1, limit=None):
        import json

        arguments = [str(self.folder), str(wanted), json.dumps(limit)]
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return json.loads(process.stdout.readline())


@pytest.fixture
def holders(tmp_path):
    made = Holders(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_each_of_two_devices_gets_two_of_four_trainings(holders):
    devices = [holders.take(limit=4) for _ in range(4)]
    assert Counter(device for (device,) in devices) == {"7": 2, "9": 2}
    assert "all 2 GPUs have 2 trainings already" in holders.take(limit=4)


def test_devices_fill_evenly(holders):
    counts = Counter()
    for _ in range(6):
        (device,) = holders.take(limit=6)
        counts[device] += 1
        assert abs(counts["7"] - counts["9"]) <= 1


def test_a_lease_ends_when_its_holder_is_killed(holders):
    holders.take(limit=2)
    holders.take(limit=2)
    holders.running[0].kill()
    holders.running[0].wait()
    assert holders.take(limit=2) == ["7"]


def test_a_training_that_asks_for_two_gets_two_different_ones(holders):
    assert holders.take(wanted=2, limit=2) == ["7", "9"]
    assert "already" in holders.take(wanted=1, limit=2)


def test_asking_for_too_many_devices_names_the_setting(tmp_path):
    with pytest.raises(DeviceError, match=r"resources\.train\.gpu: asks for 1 GPU, .* shows 0"):
        lease(tmp_path, 1, [], None)
    with pytest.raises(DeviceError, match=r"resources\.refit\.gpu: asks for 2 GPUs, .* shows 1"):
        require_devices("refit", 2, ["7"])
    assert require_devices("refit", 1, ["7", "8"]) == ["7"]


@pytest.mark.parametrize(
    ("variable", "devices"),
    [("0,1", ["0", "1"]), ("GPU-abc", ["GPU-abc"]), ("", []), ("-1", []), ("2,-1,3", ["2"])],
)
def test_the_devices_of_a_scheduler_are_used(variable, devices):
    assert visible_devices({"CUDA_VISIBLE_DEVICES": variable, "PATH": ""}) == devices


def test_without_a_scheduler_nvidia_smi_lists_the_devices(tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\nprintf "GPU 0: A (UUID: x)\\nGPU 1: A (UUID: y)\\n"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert visible_devices({"PATH": path}) == ["0", "1"]
    assert visible_devices({"PATH": str(tmp_path / "none")}) == []


def test_devices_are_found_without_tensorflow():
    code = "import sys, gridloom.workers.devices; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
