"""Promises of the host of the workers."""

from __future__ import annotations

import subprocess
import sys

#: A worker that answers a client that was killed.
ANSWERS = """
import os, socket, sys
from pathlib import Path
from gridloom.workers.worker import Host

ours, theirs = socket.socketpair()
theirs.close()
Host(Path(sys.argv[1]), os.getpid(), True)._fork("slot", ours, lambda: ours.sendall(b"ready"))
os.wait()
"""


def test_a_worker_whose_client_was_killed_leaves_no_traceback_for_another_client(tmp_path):
    command = [sys.executable, "-c", ANSWERS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
