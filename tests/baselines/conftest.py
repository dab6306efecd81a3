"""What the tests of this room share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def set_threads(one_thread):
    """Set the threads before any test here computes."""
