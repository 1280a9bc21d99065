"""The operations of a recipe."""

import pytest
from pydantic import ValidationError

from autoseg.core.augmentation_spec import AugmentationSpec, Elastic, Mirror

BASE = {"rotation_degrees": 30, "dummy_2d": False, "mirror_axes": [0, 1]}


def test_operations_keep_their_order_and_kind():
    spec = AugmentationSpec(
        **BASE,
        operations=[{"op": "elastic", "alpha": [8, 17], "sigma": [3, 4.5], "p": 0.3}, {"op": "mirror", "axis": 1}],
    )
    assert spec.operations == (
        Elastic(op="elastic", alpha=(8, 17), sigma=(3, 4.5), p=0.3),
        Mirror(op="mirror", axis=1, p=0.5),
    )
    assert AugmentationSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "operation", [{"op": "shear"}, {"op": "mirror"}, {"op": "mirror", "axis": 3}, {"op": "rotate", "degrees": 0}]
)
def test_an_impossible_operation_is_refused(operation):
    with pytest.raises(ValidationError):
        AugmentationSpec(**BASE, operations=[operation])
