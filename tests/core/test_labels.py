"""Labels: what is consistent, and the way from values to indices and back."""

import numpy as np
import pytest
from pydantic import ValidationError

from autoseg.core.labels import Labels

TUMOUR = Labels(
    values={"background": 0, "whole": (1, 2, 4), "core": (2, 4), "enhancing": 4, "ignore": 9}, region_order=(1, 2, 4)
)


def test_background_is_always_there_and_first():
    assert list(Labels(values={"b": 2, "a": 1}).values.items()) == [("background", 0), ("b", 2), ("a", 1)]
    assert list(Labels(values={"air": 0, "a": 1}).values) == ["air", "a"]


def test_a_region_of_one_value_is_a_label_where_none_has_several():
    assert Labels(values={"a": (1,), "b": 2}) == Labels(values={"a": 1, "b": 2})
    assert Labels(values={"a": (1, 2), "b": (2,)}, region_order=(1, 2)).values["b"] == (2,)


def test_single_labels_become_classes_in_the_order_of_their_values():
    labels = Labels(values={"background": 0, "liver": 30, "spleen": 7})
    assert (labels.has_regions, labels.ignore, labels.num_outputs) == (False, None, 3)
    assert labels.stored_values == (0, 7, 30)
    assert labels.output_names == ("spleen", "liver")
    assert labels.region_indices == ((1,), (2,))
    assert labels.written_indices == ()
    assert labels.written_names == {0: "background", 7: "spleen", 30: "liver"}


def test_regions_become_outputs_in_the_order_of_the_document():
    assert (TUMOUR.has_regions, TUMOUR.ignore, TUMOUR.num_outputs, TUMOUR.ignore_index) == (True, 9, 3, 4)
    assert TUMOUR.stored_values == (0, 1, 2, 4)
    assert TUMOUR.output_names == ("whole", "core", "enhancing")
    assert TUMOUR.region_indices == ((1, 2, 3), (2, 3), (3,))
    assert TUMOUR.written_indices == (1, 2, 3)
    assert TUMOUR.written_names == {0: "background", 1: "whole", 2: "core", 4: "enhancing"}


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 3, 250), (0, 1, 60000)])
def test_decode_undoes_encode(values):
    labels = Labels(values={f"label{value}": value for value in values[1:]})
    stored = np.random.default_rng(0).choice(values, size=(5, 6, 7)).astype(np.int32)
    indices = labels.encode(stored)
    assert indices.dtype == np.int16
    assert set(np.unique(indices)) == {0, 1, 2}
    decoded = labels.decode(indices)
    np.testing.assert_array_equal(decoded, stored)
    assert decoded.dtype == (np.uint8 if values[-1] < 256 else np.uint16)


def test_indices_are_the_values_where_nnunet_accepts_them():
    stored = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(Labels(values={"a": 1, "b": 2, "ignore": 3}).encode(stored), stored)


def test_the_ignored_value_gets_the_index_after_the_last():
    np.testing.assert_array_equal(TUMOUR.encode(np.array([9, 4, 0])), [4, 3, 0])


def test_a_value_without_a_name_is_refused():
    with pytest.raises(ValueError, match="voxels of the value 3, 11, which is no label"):
        TUMOUR.encode(np.array([0, 3, 11, 9]))


@pytest.mark.parametrize(
    ("values", "order", "problem"),
    [
        ({"background": 0}, (), "no label besides background"),
        ({"a": 1, "b": 1}, (), "two labels have the same value"),
        ({"a": -1}, (), "must lie in 0..65535"),
        ({"a": 70000}, (), "must lie in 0..65535"),
        ({"a": 1, "ignore": 0}, (), "highest value"),
        ({"a": 2, "ignore": 1}, (), "highest value"),
        ({"a": 1, "ignore": (1, 2)}, (), "highest value"),
        ({"a": (0, 1)}, (1,), "cannot contain background"),
        ({"a": ()}, (), "at least one value"),
        ({"a": (1, 2)}, (), "another one of the label values"),
        ({"a": (1, 2), "b": (2,)}, (1, 1), "another one of the label values"),
        ({"a": (1, 2), "b": (2,)}, (1, 3), "another one of the label values"),
        ({"a": 1}, (1,), "for regions only"),
    ],
)
def test_what_contradicts_itself_is_refused(values, order, problem):
    with pytest.raises(ValidationError, match=problem):
        Labels(values=values, region_order=order)


def test_independent_labels_have_an_output_each_and_none_for_background():
    labels = Labels(values={"white": 2, "grey": 5}, region_order=(2, 5), independent=True)
    assert labels.has_regions
    assert (labels.num_outputs, labels.output_names) == (2, ("white", "grey"))
    assert (labels.region_indices, labels.written_indices) == (((1,), (2,)), (1, 2))
    assert Labels(values={"white": 2, "grey": 5}).num_outputs == 3


def test_the_document_is_that_of_nnunet():
    assert TUMOUR.document() == {"labels": dict(TUMOUR.values), "regions_class_order": [1, 2, 4]}
    assert Labels(values={"a": 1}).document() == {"labels": {"background": 0, "a": 1}}
    assert Labels.model_validate_json(TUMOUR.model_dump_json()) == TUMOUR


def test_independent_labels_are_no_regions_to_others():
    """A dataset.json has no word for them, and needs none: each is one value."""
    labels = Labels(values={"one": 1, "two": 2}, region_order=(1, 2), independent=True)
    assert labels.has_regions
    assert not labels.joins_values
    assert labels.document() == {"labels": {"background": 0, "one": 1, "two": 2}}
    regions = Labels(values={"both": (1, 2), "two": (2,)}, region_order=(1, 2))
    assert regions.joins_values
    assert regions.document()["regions_class_order"] == [1, 2]
