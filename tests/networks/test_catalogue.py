"""The catalogue: the number of weights of every network, and what is refused. Its contract is in ``test_contract``."""

import subprocess
import sys

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec
from autoseg.networks import build, build_planned
from autoseg.networks.catalogue import CATALOGUE


def counts(name, in_channels, out_channels, dimensions, **parameters):
    """Trained numbers, and numbers that normalisations keep."""
    with torch.device("meta"):
        network = build(name, in_channels=in_channels, out_channels=out_channels, dimensions=dimensions, **parameters)
    kept = [buffer.numel() for key, buffer in network.named_buffers() if not key.endswith("num_batches_tracked")]
    return sum(parameter.numel() for parameter in network.parameters()), sum(kept)


PYEDDL = 29_320_226  # of which it counts both numbers that a normalisation learns and both that it keeps
PUBLISHED = [
    ("paugam_small_unet", 2, {}, 1, 1, 1_211_329, 2_304),
    ("paugam_small_unet", 2, {}, 1, 3, 1_211_907, 2_304),
    ("paugam_small_unet", 2, {}, 1, 4, 1_212_196, 2_304),
    ("paugam_unet", 2, {}, 1, 1, 19_590_529, 9_728),
    ("paugam_unet", 2, {}, 1, 3, 19_591_683, 9_728),
    ("paugam_unet", 2, {}, 1, 4, 19_592_260, 9_728),
    ("segnet", 2, {}, 1, 1, 29_442_433, 15_872),
    ("segnet", 2, {}, 1, 3, 29_443_587, 15_872),
    ("segnet", 2, {}, 1, 4, 29_444_164, 15_872),
    ("nopool_aspp", 2, {}, 1, 1, 500_161, 2_816),
    ("nopool_aspp", 2, {}, 1, 3, 500_419, 2_816),
    ("nopool_aspp", 2, {}, 1, 4, 500_548, 2_816),
    ("nopool_aspp", 2, {"features": 32}, 1, 1, 126_177, 1_408),
    ("nopool_aspp", 2, {"features": 32}, 1, 3, 126_307, 1_408),
    ("classic_unet", 2, {}, 1, 1, 31_031_685, 0),
    ("classic_unet", 2, {"norm": "batch"}, 3, 1, 31_060_241 - 13_702, 13_702),
    ("classic_unet", 2, {"norm": "batch"}, 1, 1, 31_045_387, 13_702),
    ("double_unet", 2, {}, 1, 1, 29_288_546, 7_296),
    ("double_unet", 2, {}, 3, 1, 29_290_274, 7_296),
    ("double_unet", 2, {"variant": "pytorch"}, 3, 1, 29_288_886, 7_296),
    ("double_unet", 2, {"variant": "pyeddl"}, 3, 1, PYEDDL - 18_304, 18_304),
    ("valverde2017", 3, {}, 3, 2, 189_922, 192),
    ("valverde2017", 3, {}, 2, 2, 189_058, 192),
    ("valverde2017", 3, {}, 4, 2, 190_786, 192),
    ("nicmslesions", 3, {}, 2, 2, 470_082, 384),
    ("nicmslesions", 3, {}, 3, 2, 470_946, 384),
    ("nicmslesions", 3, {}, 4, 2, 471_810, 384),
    ("voxhrnet", 3, {"size": "small"}, 1, 55, 1_350_599, 0),
    ("voxhrnet", 3, {}, 1, 55, 2_355_479, 0),
    ("voxhrnet", 3, {"size": "large"}, 1, 55, 5_207_447, 0),
    ("voxhrnet", 3, {"size": "hammers"}, 1, 96, 14_079_920, 0),
    ("full_volume_unet", 3, {}, 1, 55, 2_072_013, 2_110),
    ("voxresnet", 3, {}, 1, 55, 1_942_108, 1_536),
    ("unet_plus_plus", 3, {}, 1, 55, 2_211_767, 2_628),
    ("unet_plus_plus", 3, {"upsampled_nodes": True}, 1, 55, 2_211_767, 2_628),
    ("plain_unet", 3, {}, 1, 2, 31_195_594, 0),
    ("plain_unet", 2, {}, 1, 2, 46_324_558, 0),
    ("plain_unet", 2, {"features_per_stage": (32, 64, 128, 256, 512, 512, 512)}, 1, 2, 33_471_820, 0),
]


@pytest.mark.parametrize(("name", "dimensions", "parameters", "channels", "classes", "trained", "kept"), PUBLISHED)
def test_numbers_of_weights_are_those_published(name, dimensions, parameters, channels, classes, trained, kept):
    assert counts(name, channels, classes, dimensions, **parameters) == (trained, kept)


@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (4, 5)])
@pytest.mark.parametrize(
    ("name", "parameters", "constant", "each_channel", "each_class"),
    [
        ("paugam_small_unet", {}, 1_210_752, 288, 289),
        ("paugam_unet", {}, 19_589_376, 576, 577),
        ("segnet", {}, 29_441_280, 576, 577),
        ("nopool_aspp", {}, 499_456, 576, 129),
        ("voxhrnet", {"size": "small"}, 1_345_924 - 864, 864, 85),
        ("voxhrnet", {}, 2_349_264 - 864, 864, 113),
        ("voxhrnet", {"size": "large"}, 5_198_152 - 864, 864, 169),
        ("full_volume_unet", {}, 2_065_908 - 108, 108, 111),
        ("voxresnet", {}, 1_775_568 - 864, 864, 3_028),
        ("unet_plus_plus", {}, 2_211_217 - 864, 864, 10),
        ("valverde2017", {}, 189_922 - 3 * 864 - 2 * 257, 864, 257),
        ("nicmslesions", {}, 470_082 - 2 * 864 - 2 * 65, 864, 65),
    ],
)
def test_weights_grow_with_channels_and_classes(
    name, parameters, constant, each_channel, each_class, channels, classes
):
    trained, _ = counts(name, channels, classes, min(CATALOGUE[name].dimensions), **parameters)
    assert trained == constant + each_channel * channels + each_class * classes


@pytest.mark.parametrize(
    ("name", "constant", "each_channel"), [("classic_unet", 31_031_109, 576), ("double_unet", 29_287_682, 864)]
)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_weights_grow_with_channels(name, constant, each_channel, channels):
    assert counts(name, channels, 1, 2)[0] == constant + each_channel * channels


def test_importing_the_room_loads_no_torch():
    command = "import sys, autoseg.networks; print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "channels", "dimensions", "parameters", "sentence"),
    [
        ("unet", 1, 2, {}, r"network 'unet' is not in the catalogue; choose one of plain_unet, residual_encoder_unet"),
        ("segnet", 1, 2, {"width": 3}, r"segnet has no parameter 'width'; it has dropout, norm_momentum\.$"),
        ("voxhrnet", 1, 2, {}, "voxhrnet has no form in 2 dimensions; it needs 3"),
        ("double_unet", 1, 3, {}, "double_unet has no form in 3 dimensions; it needs 2"),
        ("plain_unet", 1, 4, {}, "no form in 4 dimensions; it needs 2 or 3"),
        ("segnet", 1, 2, {"dropout": 1.0}, r"segnet cannot be built \(dropout: .*less than 1"),
        ("segnet", 0, 2, {}, r"segnet cannot be built \(in_channels: .*greater than or equal to 1"),
        ("voxhrnet", 1, 3, {"size": "tiny"}, "size: .*'small', 'base', 'large' or 'hammers'"),
        ("voxhrnet", 1, 3, {"branches": [4, 8]}, "2 branches for size 'base'; give 3 widths"),
        ("classic_unet", 1, 2, {"norm": "instance"}, "norm: .*'none' or 'batch'"),
        ("plain_unet", 1, 2, {"features_per_stage": "many"}, "features_per_stage: .*tuple"),
        ("plain_unet", 1, 2, {"features_per_stage": [4]}, "2 stages"),
        ("plain_unet", 1, 2, {"features_per_stage": [4, 8], "kernel_sizes": [[3, 3], [2, 2]]}, "2 x 2 has an even"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(name, channels, dimensions, parameters, sentence):
    with pytest.raises(BadInput, match=sentence):
        build(name, in_channels=channels, out_channels=2, dimensions=dimensions, **parameters)


def test_a_list_from_a_document_is_taken():
    assert counts("voxhrnet", 1, 2, 3, branches=[16, 32, 64]) == counts("voxhrnet", 1, 2, 3)


def test_a_planned_network_is_that_of_its_parameters():
    spec = NetworkSpec(
        name="plain_unet",
        dimensions=2,
        features_per_stage=(4, 8),
        kernel_sizes=((1, 3), (3, 3)),
        strides=((1, 1), (1, 2)),
        blocks_per_stage=(1, 2),
        blocks_per_decoder_stage=(3,),
    )
    network = build_planned(spec, 1, 2)
    assert [tuple(stage.convs[0].conv.weight.shape) for stage in network.encoder] == [(4, 1, 1, 3), (8, 4, 3, 3)]
    assert [len(stage.convs) for stage in (*network.encoder, *network.decoder.stages)] == [1, 2, 3]
    with pytest.raises(BadInput, match="segnet has no parameter 'features_per_stage'"):
        build_planned(spec.model_copy(update={"name": "segnet"}), 1, 2)
