"""What the tests of trainings share."""

from tests.training.conftest import data, one_thread  # noqa: F401
