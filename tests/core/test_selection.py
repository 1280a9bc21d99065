"""The document that ``select`` writes."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.selection import Candidate, Postprocessing, Selection, Step, read_selection


def test_a_selection_comes_back_from_its_text():
    selection = Selection(
        dataset="Tiny",
        configurations=("2d", "3d_fullres"),
        folds=("fold0", "fold1"),
        postprocessing=Postprocessing(keep_largest=((1, 2), (2,))),
        mean_dice=0.9,
        reason="it is better",
        candidates=(Candidate(configurations=("2d", "3d_fullres"), mean_dice=0.8, dice={"core": 0.8, "gone": None}),),
        steps=(Step(what="core", values=(2,), dice_before=0.8, dice_after=None, kept=False),),
    )
    assert read_selection(selection.model_dump_json(), "selection.json") == selection
    assert selection.candidates[0].title == "2d + 3d_fullres"


@pytest.mark.parametrize("text", ["", "{}", '{"configurations": []}'])
def test_a_damaged_selection_is_refused_in_a_sentence(text):
    with pytest.raises(BadInput, match=r"models/selection\.json: is no valid selection .* run `autoseg select` again"):
        read_selection(text, "models/selection.json")
