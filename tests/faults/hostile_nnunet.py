"""Model folders and zips of nnU-Net that must not be believed, each with the sentence that it ends in.

A maker gets a good model folder and the place of a canary, which exists if anything of the model was run; it changes
the folder or writes something else beside it, and returns what is imported.
"""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.interop import peer_models

Maker = Callable[[Path, Path], Path]
CHECKPOINT = "fold_0/checkpoint_final.pth"
ARCHITECTURE = "configurations.3d_fullres.architecture."


class Payload:
    """What makes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.canary,)


def pickled(place: str, legacy: bool) -> Maker:
    """A payload in a checkpoint: in one of its parts, or instead of it."""

    def make(folder: Path, canary: Path) -> Path:
        content: Any = Payload(canary)
        if place:
            content = {**peer_models.checkpoint(), place: {"x": Payload(canary)}}
        torch.save(content, folder / CHECKPOINT, _use_new_zipfile_serialization=not legacy)
        return folder

    return make


def raw_pickle(folder: Path, canary: Path) -> Path:
    """A payload without anything of torch."""
    (folder / CHECKPOINT).write_bytes(pickle.dumps(Payload(canary)))
    return folder


def evaluated(folder: Path, canary: Path) -> Path:
    """A pickle in opcodes that calls eval."""
    (folder / CHECKPOINT).write_bytes(b"\x80\x02c__builtin__\neval\n(S'open(%r, \"w\")'\ntR." % str(canary).encode())
    return folder


def described(value: object, *keys: str) -> Maker:
    """A field of plans.json."""

    def make(folder: Path, canary: Path) -> Path:
        document = json.loads((folder / "plans.json").read_text())
        part = document
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        (folder / "plans.json").write_text(json.dumps(document))
        return folder

    return make


def architecture(value: object, *keys: str) -> Maker:
    """A field of the architecture."""
    return described(value, "configurations", "3d_fullres", "architecture", *keys)


def dataset(text: str) -> Maker:
    """Another dataset.json."""

    def make(folder: Path, canary: Path) -> Path:
        (folder / "dataset.json").write_text(text)
        return folder

    return make


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Maker:
    """Other weights."""

    def make(folder: Path, canary: Path) -> Path:
        content = peer_models.checkpoint()
        change(content["network_weights"])
        torch.save(content, folder / CHECKPOINT)
        return folder

    return make


def zipped(*entries: tuple[str, bytes]) -> Maker:
    """An exported zip with more in it."""

    def make(folder: Path, canary: Path) -> Path:
        path = peer_models.zipped(folder, folder.parent / "model.zip")
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(name, content)
        return path

    return make


def packed_checkpoint(folder: Path, canary: Path) -> Path:
    """torch's own zip compressed, with 128 MB of zeros for the data of a weight."""
    source, content = folder / CHECKPOINT, io.BytesIO()
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in archive.infolist():
            data = bytes(2**27) if entry.filename.endswith("/data/0") else archive.read(entry)
            target.writestr(entry.filename, data)
    source.write_bytes(content.getvalue())
    return folder


def bomb_of_checkpoint(folder: Path, canary: Path) -> Path:
    """An exported zip whose checkpoint is 128 MB of zeros in 128 kB."""
    with (folder / CHECKPOINT).open("wb") as file:
        file.truncate(2**27)
    return peer_models.zipped(folder, folder.parent / "model.zip")


def linked(folder: Path, canary: Path) -> Path:
    """dataset.json is a link to a file of the machine."""
    (folder / "dataset.json").unlink()
    (folder / "dataset.json").symlink_to("/etc/passwd")
    return folder


def looped(folder: Path, canary: Path) -> Path:
    """Links that lead to themselves in place of the fold."""
    shutil.rmtree(folder / "fold_0")
    (folder / "fold_0").symlink_to(folder / "fold_1")
    (folder / "fold_1").symlink_to(folder / "fold_0")
    return folder


def expanded(tensors: dict[str, torch.Tensor]) -> None:
    """A weight of one number that claims to be many."""
    for name in [name for name in tensors if name.endswith("encoder.stages.0.0.convs.0.conv.weight")]:
        tensors[name] = torch.zeros(1).expand(tensors[name].shape)


RUN = ", which loading could run, and nothing was run; take only checkpoints that nnU-Net has written."
LEAVES = ", which leaves the zip; it is not used."
TRAINED_WITH = "give the plans that it was trained with."
CLASS = "which we do not have; PlainConvUNet and ResidualEncoderUNet can be imported."

# what: maker, how the sentence begins ({source}: the folder or zip), how it ends
MODELS: dict[str, tuple[Maker, str, str]] = {
    **{
        f"code in {place or 'place'} of the checkpoint{', legacy' if legacy else ''}": (
            pickled(place, legacy),
            "{source}/fold_0/checkpoint_final.pth: names posix.mkdir",
            RUN,
        )
        for place in ("network_weights", "logging", "")
        for legacy in (False, True)
    },
    "a pickle of code": (raw_pickle, "{source}/fold_0/checkpoint_final.pth: ", "nnU-Net has written."),
    "a pickle that calls eval": (evaluated, "{source}/fold_0/checkpoint_final.pth: ", "nnU-Net has written."),
    "os.system as the network": (
        architecture("os.system", "network_class_name"),
        f"{{source}}/plans.json: {ARCHITECTURE}network_class_name is 'os.system', ",
        CLASS,
    ),
    "eval as the network": (
        architecture("builtins.eval", "network_class_name"),
        f"{{source}}/plans.json: {ARCHITECTURE}network_class_name is 'builtins.eval', ",
        CLASS,
    ),
    "a module of the folder as the network": (
        architecture("evil.network.Network", "network_class_name"),
        f"{{source}}/plans.json: {ARCHITECTURE}network_class_name is 'evil.network.Network', ",
        CLASS,
    ),
    **{
        f"{value} as {field}": (
            architecture(value, "arch_kwargs", field),
            f"{{source}}/plans.json: {ARCHITECTURE}arch_kwargs.{field} is '{value}'; only ",
            " can be imported.",
        )
        for field, value in (
            ("nonlin", "os.system"),
            ("norm_op", "builtins.eval"),
            ("conv_op", "subprocess.Popen"),
        )
    },
    "os.popen as dropout": (
        architecture("os.popen", "arch_kwargs", "dropout_op"),
        f"{{source}}/plans.json: {ARCHITECTURE}arch_kwargs.dropout_op is 'os.popen'; ",
        "networks with it cannot be imported.",
    ),
    "a resampling of its own": (
        described("os.system", "configurations", "3d_fullres", "resampling_fn_data"),
        "{source}/plans.json: configurations.3d_fullres.resampling_fn_data is 'os.system'; only ",
        " can be imported.",
    ),
    "a reader of its own": (
        described("os.system", "image_reader_writer"),
        "{source}/plans.json: image_reader_writer is 'os.system'; there is: ",
        "Tiff3DIO.",
    ),
    "a billion features": (
        architecture([10**9] * 3, "arch_kwargs", "features_per_stage"),
        f"{{source}}/plans.json: {ARCHITECTURE}arch_kwargs.features_per_stage.0: ",
        "give the file as nnU-Net wrote it.",
    ),
    "wide layers": (
        architecture([8192] * 3, "arch_kwargs", "features_per_stage"),
        "{source}/fold_0/checkpoint_final.pth: holds ",
        TRAINED_WITH,
    ),
    "a billion blocks": (
        architecture([10**9, 1, 1], "arch_kwargs", "n_conv_per_stage"),
        f"{{source}}/plans.json: {ARCHITECTURE}arch_kwargs.blocks.",
        "give the file as nnU-Net wrote it.",
    ),
    "a million stages": (
        architecture(10**6, "arch_kwargs", "n_stages"),
        f"{{source}}/plans.json: {ARCHITECTURE}arch_kwargs.n_stages: ",
        "give the file as nnU-Net wrote it.",
    ),
    "a configuration that is its own parent": (
        described({"inherits_from": "3d_fullres"}, "configurations", "3d_fullres"),
        "{source}/plans.json: configurations.3d_fullres inherits from itself; ",
        "correct inherits_from.",
    ),
    "a dataset that is a list": (dataset("[1, 2]"), "{source}/dataset.json: is no document of nnU-Net", "the file."),
    "a dataset nested too deeply": (
        dataset("[" * 10**6),
        "{source}/dataset.json: is no JSON document (",
        "restore the file.",
    ),
    "a dataset of nonsense": (
        dataset('{"channel_names": 7, "labels": {"a": "b"}, "file_ending": "/etc/passwd"}'),
        "{source}/dataset.json: channel_names: ",
        "give the file as nnU-Net wrote it.",
    ),
    "a dataset that is a link": (linked, "{source}/dataset.json: is no JSON document (", "restore the file."),
    "folders that are a loop": (looped, "{source}: holds no fold_K/checkpoint_final.pth; ", "labelsTr)."),
    "weights that are no numbers": (
        weights(lambda tensors: [tensor.fill_(float("nan")) for tensor in tensors.values()]),
        "{source}/fold_0/checkpoint_final.pth: the weight ",
        " is not finite; the training failed.",
    ),
    "weights that repeat one number": (
        weights(expanded),
        "{source}/fold_0/checkpoint_final.pth: the weight ",
        " holds fewer numbers than it claims; restore the file.",
    ),
    "a weight too many": (
        weights(lambda tensors: tensors.update({"trap": torch.zeros(1)})),
        "{source}/fold_0/checkpoint_final.pth: the weights are not those of the network in plans.json (",
        "a trainer that changes the network cannot be imported.",
    ),
    "a path upwards": (zipped(("../../evil", b"x")), "{source}: has the path '../../evil'", LEAVES),
    "an absolute path": (zipped(("/etc/evil", b"x")), "{source}: has the path '/etc/evil'", LEAVES),
    "a path that leaves on the way": (zipped(("a/../../evil", b"x")), "{source}: has the path 'a/../../evil'", LEAVES),
    "a backslash": (zipped(("..\\evil", b"x")), "{source}: has the path '..\\\\evil'", LEAVES),
    "a drive letter": (zipped(("C:/evil", b"x")), "{source}: has the path 'C:/evil'", LEAVES),
    "a name twice but for case": (
        zipped((f"Dataset501_Tiny/{peer_models.FOLDER}/PLANS.json", b"{}")),
        "{source}: has two files of one name, or far too many; ",
        "export the model again.",
    ),
    "thousands of files": (
        zipped(*((f"a/{number}", b"") for number in range(20_001))),
        "{source}: has two files of one name, or far too many; ",
        "export the model again.",
    ),
    "a bomb": (
        bomb_of_checkpoint,
        "{source}/Dataset501_Tiny/",
        "is far larger than such a file of nnU-Net; export it again.",
    ),
    "a bomb in the checkpoint": (
        packed_checkpoint,
        "{source}/fold_0/checkpoint_final.pth: is packed as no checkpoint of nnU-Net is; ",
        "copy it again.",
    ),
}
