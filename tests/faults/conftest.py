"""What several tests of faults begin with."""

import pytest

from tests.faults.good_input import Place, make_good


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Good input; not to be changed."""
    return make_good(tmp_path_factory.mktemp("good"))
