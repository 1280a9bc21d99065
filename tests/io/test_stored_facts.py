"""What readers tell of a file."""

from autoseg.io.stored_facts import Handled, StoredFacts


def test_facts_say_nothing_that_was_not_told():
    one, other = StoredFacts("NIfTI-1", "int16"), StoredFacts("TIFF", "uint8", handled=(Handled("2D", "one slice"),))
    assert (one.scaling, one.length_unit, one.handled, one.doubts, dict(one.details)) == (None, None, (), (), {})
    ((what, how),) = other.handled
    assert (what, how) == ("2D", "one slice")
