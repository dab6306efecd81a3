"""Fixtures that the tests of networks share."""

from tests.training.conftest import data, set_threads  # noqa: F401
