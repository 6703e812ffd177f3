"""What the tests of data share."""

from pathlib import Path

import pytest
from arrivals import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A model of parcels with one span that is as expected."""
    return Deployment.begin(tmp_path)
