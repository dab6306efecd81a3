"""Rows that trainings share, and one thread for all networks."""

from __future__ import annotations

import pytest

from tests.engines.conftest import one_thread  # noqa: F401
from tests.made_requests import make_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_data(folder, "builtin:breast_cancer")
    return folder
