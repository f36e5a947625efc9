"""Each test of this folder has the library's time to itself."""

import pytest


@pytest.fixture(autouse=True)
def _own_time(own_time):
    pass
