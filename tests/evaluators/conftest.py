import pytest


@pytest.fixture(autouse=True, scope="module")
def _undrawn(undrawn):
    """Searches write reports here, and few tests look at their pictures: those ask for `drawn`."""
