"""Fixtures that the tests of the check share."""

from __future__ import annotations

import pytest

from tests.made_requests import make_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_data(folder, "builtin:breast_cancer")
    return folder


@pytest.fixture(autouse=True, scope="session")
def set_threads(one_thread):
    """Set the threads before any test here computes."""
