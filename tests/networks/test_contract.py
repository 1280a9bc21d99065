"""What every network of the catalogue must hold, at odd sizes: logits, gradients, precision, layout, files, export."""

import importlib.util

import pytest
import torch

from autoseg.inference.engines import openvino_engine
from autoseg.networks import build, model_file
from autoseg.networks.catalogue import CATALOGUE
from autoseg.runtime.devices import Execution

STAGES = {"features_per_stage": (4, 8, 16)}
NARROW = {  # constants of a network's module that make it quick
    "paugam": {"_SMALL_WIDTHS": (4, 8, 12), "_WIDTHS": (4, 6, 8, 10)},
    "segnet": {
        "_ENCODER": ((4, 4), (8, 8), (8, 8, 8), (16, 16, 16), (16, 16, 16)),
        "_DECODER": ((16, 16, 16), (16, 16, 8), (8, 8, 8), (8, 4), (4,)),
    },
    "classic_unet": {"_WIDTHS": (4, 6, 8, 12, 16)},
    "double_unet": {
        "_VGG": ((4, 2), (8, 2), (8, 4), (16, 4), (16, 4)),
        "_ENCODER": (48, 48, 48, 48),
        "_DECODER": (48, 48, 48, 48),
    },
}
CASES = {  # network, odd sizes that it takes, parameters that make it small
    "plain 2d": ("plain_unet", (37, 41), STAGES),
    "plain 3d": ("plain_unet", (37, 41, 35), STAGES),
    "residual 2d": ("residual_encoder_unet", (37, 41), STAGES),
    "residual 3d": ("residual_encoder_unet", (19, 21, 17), STAGES),
    "small paugam 2d": ("paugam_small_unet", (37, 41), {}),
    "small paugam 3d": ("paugam_small_unet", (19, 21, 17), {}),
    "paugam 2d": ("paugam_unet", (37, 41), {}),
    "paugam 3d": ("paugam_unet", (19, 21, 17), {}),
    "segnet 2d": ("segnet", (37, 41), {}),
    "segnet 3d": ("segnet", (33, 35, 37), {}),
    "aspp 2d": ("nopool_aspp", (37, 41), {"features": 8}),
    "aspp 3d": ("nopool_aspp", (13, 11, 9), {"features": 4}),
    "classic 2d": ("classic_unet", (37, 41), {}),
    "classic 3d": ("classic_unet", (19, 21, 17), {"norm": "batch"}),
    "double": ("double_unet", (37, 41), {}),
    "double, pytorch": ("double_unet", (37, 41), {"variant": "pytorch", "both_outputs": True}),
    "double, pyeddl": ("double_unet", (37, 41), {"variant": "pyeddl"}),
    "valverde": ("valverde2017", (11, 11, 11), {}),
    "nicmslesions": ("nicmslesions", (11, 11, 11), {}),
    "voxhrnet": ("voxhrnet", (19, 21, 17), {"branches": (4, 8, 12)}),
    "voxhrnet, hammers": ("voxhrnet", (19, 21, 17), {"size": "hammers", "branches": (4, 6, 8, 10)}),
    "full volume": ("full_volume_unet", (37, 41, 35), {"features": 2}),
    "full volume, plain logits": ("full_volume_unet", (33, 35, 37), {"features": 2, "activated_logits": False}),
    "voxresnet": ("voxresnet", (19, 21, 17), {"channels": 4}),
    "plus plus": ("unet_plus_plus", (37, 41, 35), {"features": 3}),
    "plus plus, upsampled": ("unet_plus_plus", (33, 35, 37), {"features": 3, "upsampled_nodes": True}),
}
CLASSES = 3


VOXEL_CLASSIFIERS = ("valverde2017", "nicmslesions")


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """What builds the network, one with its logits in inference, an image of 2 channels and the size of its logits."""
    name, size, parameters = CASES[request.param]

    def make():
        with pytest.MonkeyPatch.context() as patch:
            for module, constants in NARROW.items():
                for constant, value in constants.items():
                    patch.setattr(f"autoseg.networks.{module}.{constant}", value)
            return build(name, in_channels=2, out_channels=CLASSES, dimensions=len(size), **parameters)

    torch.manual_seed(0)
    network, image = make().eval(), torch.randn(1, 2, *size)
    with torch.inference_mode():
        logits = outputs_of(network, image)
    return make, network, image, logits, (1, 1, 1) if name in VOXEL_CLASSIFIERS else size


def outputs_of(network, x):
    """A list in any case."""
    outputs = network(x)
    return outputs if isinstance(outputs, list) else [outputs]


def test_every_network_is_a_case():
    listed = {(name, len(size)) for name, size, _ in CASES.values()}
    assert listed == {(name, dimensions) for name, entry in CATALOGUE.items() for dimensions in entry.dimensions}


def test_logits_fit_an_odd_size_and_gradients_reach_every_weight(case):
    make, _, image, _, size = case
    torch.manual_seed(0)
    network = make().train()
    with torch.no_grad():  # a residual block begins with a zero, and a PReLU too, which hold gradients back
        for parameter in network.parameters():
            parameter.add_(0.001)
    if hasattr(network, "deep_supervision"):
        network.deep_supervision = True
    image = torch.cat((image, 2 * image + 1))
    before = image.clone()
    outputs = outputs_of(network, image)
    assert tuple(outputs[0].shape) == (2, CLASSES, *size)
    assert torch.equal(image, before)
    sum(output.square().mean() for output in outputs).backward()
    weights = {key: weight for key, weight in network.named_parameters() if key.endswith("weight")}
    assert weights
    assert [key for key, weight in weights.items() if weight.grad is None or not weight.grad.abs().sum() > 0] == []


def test_half_precision_and_the_other_memory_layout_give_the_same_logits(case):
    _, network, image, logits, _ = case
    layout = torch.channels_last if image.ndim == 4 else torch.channels_last_3d
    with torch.inference_mode():
        turned = outputs_of(network, image.to(memory_format=layout))
        with torch.autocast("cpu", torch.bfloat16):
            half = outputs_of(network, image)
    for one, other, expected in zip(turned, half, logits, strict=True):
        torch.testing.assert_close(one, expected, atol=1e-4, rtol=1e-3)
        assert (other.float() - expected).norm() < 0.1 * expected.norm()


@pytest.mark.parametrize("channels_last", [False, True])
def test_it_is_placed_in_either_layout_with_the_same_logits(case, channels_last):
    make, network, image, logits, _ = case
    way = Execution("cpu", "fp32", channels_last)
    placed = make().eval()
    placed.load_state_dict(network.state_dict())
    placed = way.place_network(placed, image.ndim - 2)
    with torch.inference_mode():
        for one, expected in zip(outputs_of(placed, way.place(image)), logits, strict=True):
            torch.testing.assert_close(one, expected, atol=1e-4, rtol=1e-3)


def test_weights_come_back_from_a_file_and_have_one_name_each(case, tmp_path):
    make, network, image, logits, _ = case
    storages = [tensor.data_ptr() for tensor in network.state_dict().values() if tensor.numel()]
    assert len(set(storages)) == len(storages)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(model_file.serialise(network.state_dict(), {}))
    again = make().eval()
    model_file.load_weights(again, model_file.read(path)[0], path)
    with torch.inference_mode():
        for one, expected in zip(outputs_of(again, image), logits, strict=True):
            torch.testing.assert_close(one, expected, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trace_of_one_size_fits_another(case):
    _, network, image, logits, size = case
    example = torch.zeros(1, 2, *(32 if side > 1 else 11 for side in size))
    with torch.no_grad(), torch.jit.optimized_execution(False):
        traced = torch.jit.trace(network, example, check_trace=False)
        for one, expected in zip(outputs_of(traced, image), logits, strict=True):
            torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_gives_the_same_logits(case):
    _, network, image, logits, size = case
    if max(size) == 1:
        pytest.skip("the engine traces a network of any size")
    engine = openvino_engine(network, Execution("cpu", "fp32", channels_last=False), (1, 2, *(32,) * len(size)))
    torch.testing.assert_close(engine(image), logits[0], atol=1e-3, rtol=1e-3)
