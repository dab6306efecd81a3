"""One thread for all networks here."""

from tests.engines.conftest import one_thread  # noqa: F401
