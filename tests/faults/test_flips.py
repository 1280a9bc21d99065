"""The self-test sees faults that are put into the path, and nothing where there are none."""

from tests.faults import flips


def test_a_path_without_faults_is_right():
    checks = flips.small_test()
    assert [check.problems for check in checks] == [()] * 6
    assert [check.num_grids for check in checks] == [5, 4, 5, 5, 5, 5]
    assert max(check.farthest_mm for check in checks) < 0.3


def test_exchanged_sides_axes_and_millimetres_are_seen(tmp_path):
    (row,) = flips.rows(1, 5, tmp_path)
    assert (row.failures, row.injected, row.survived) == ((), 1, 1)
