"""A few faults of each kind."""

import pytest

from tests.faults import resources


@pytest.mark.parametrize(
    "kind",
    [
        resources.memory_runs_out,
        resources.gpu_is_too_small,
        resources.memory_is_foreseen,
        resources.disk_is_full,
        resources.disk_is_read_only,
    ],
)
def test_what_runs_out_is_one_sentence_and_nothing_is_lost(kind, tmp_path):
    row = kind(3, resources.np.random.default_rng(7), tmp_path)
    if not row.injected:
        pytest.skip(row.compared)
    assert (row.failures, row.injected, row.survived) == ((), 3, 3)


def test_a_child_that_dies_is_told():
    row = resources.children_die(20, resources.np.random.default_rng(7))
    assert (row.failures, row.survived) == ((), 20)
