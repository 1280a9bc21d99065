"""Files ``.autoseg.zip`` that must not be believed, each with the sentence that it ends in.

A maker gets the members of a good archive (name -> bytes, without the manifest) and a path, and writes the file.
"""

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from autoseg.io.files import write_bytes
from autoseg.networks import model_file
from tests.faults.small_model import small_plan, small_weights

FOLD = "3d_fullres/fold0"
PLAN, WEIGHTS = f"{FOLD}/plan.json", f"{FOLD}/final.safetensors"
AGAIN = "; fetch or export the model again."
NO_PART = "which is no part of a model" + AGAIN
Members = dict[str, bytes]
Maker = Callable[[Members, Path], None]


def good_members() -> Members:
    """Of a small model."""
    plan = small_plan()
    text = plan.model_dump_json(indent=1).encode()
    return {"plan.json": text, PLAN: text, WEIGHTS: model_file.serialise(small_weights(plan), {})}


def manifest(members: dict[str, bytes]) -> bytes:
    """With right hashes."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    return json.dumps({"format": "autoseg model", "version": 1, "dataset": "Tiny", "sha256": hashes}).encode()


def packed(entries: list[tuple[zipfile.ZipInfo | str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of entries, whatever their names are and however often they come."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, part in entries:
            archive.writestr(name, part)
    return content.getvalue()


def listed(members: Members) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
    """With the manifest that belongs to them."""
    return [*members.items(), ("manifest.json", manifest(members))]


def adding(*names: str) -> Maker:
    """A good archive and members of other names."""
    return lambda members, path: write_bytes(path, packed([*listed(members), *((name, b"x") for name in names)]))


def changing(**contents: Callable[[bytes], bytes]) -> Maker:
    """``plan``, ``top`` (both plans) or ``weights`` replaced, with right hashes."""

    def make(members: Members, path: Path) -> None:
        for what, change in contents.items():
            for name in {"plan": [PLAN], "top": ["plan.json", PLAN], "weights": [WEIGHTS]}[what]:
                members[name] = change(members[name])
        write_bytes(path, packed(listed(members)))

    return make


def planned(**changes: object) -> Maker:
    """Fields of the configuration in both plans; ``network__x`` is a field of its network."""

    def change(text: bytes) -> bytes:
        document = json.loads(text)
        configuration = document["configurations"]["3d_fullres"]
        for key, value in changes.items():
            *outer, last = key.split("__")
            part = configuration[outer[0]] if outer else configuration
            part[last] = value
        return json.dumps(document).encode()

    return changing(top=change)


def weighted(change: Callable[[dict[str, torch.Tensor]], object]) -> Maker:
    """Other weights in a right safetensors file."""

    def make(content: bytes) -> bytes:
        tensors = small_weights(small_plan())
        change(tensors)
        return model_file.serialise(tensors, {})

    return changing(weights=make)


def header(document: object, data: bytes = b"") -> Maker:
    """A safetensors file with this header."""
    text = json.dumps(document).encode()
    return changing(weights=lambda _: struct.pack("<Q", len(text)) + text + data)


def published(name: str, **params: object) -> dict[str, object]:
    """A network of the catalogue, or one that claims to be."""
    return {"name": name, "dimensions": 3, "size_multiple": [2, 2, 2], "params": params}


def symlink(members: Members, path: Path) -> None:
    """The plan of the fold is a link to a file of the machine."""
    entry = zipfile.ZipInfo(PLAN)
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    members[PLAN] = b"/etc/passwd"
    rest = {name: content for name, content in members.items() if name != PLAN}
    write_bytes(path, packed([(entry, members[PLAN]), *rest.items(), ("manifest.json", manifest(members))]))


def lying_sizes(size: int) -> Maker:
    """The table of contents says that the weights have another size than they have."""

    def make(members: Members, path: Path) -> None:
        content = bytearray(packed(listed(members)))
        place = content.index(b"PK\x01\x02")
        while content[place + 46 : place + 46 + len(WEIGHTS)] != WEIGHTS.encode():
            place = content.index(b"PK\x01\x02", place + 4)
        content[place + 20 : place + 28] = struct.pack("<II", size, size)
        write_bytes(path, bytes(content))

    return make


def overlapping(members: Members, path: Path) -> None:
    """Two names for the bytes of one member: the quine of a zip bomb."""
    content = bytearray(packed(listed(members)))
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    write_bytes(path, bytes(content))


def bomb(members: Members, path: Path) -> None:
    """128 MB of zeros in 128 kB."""
    members["2d/all/final.safetensors"] = bytes(2**27)
    write_bytes(path, packed(listed(members), zipfile.ZIP_DEFLATED))


def nested(members: Members, path: Path) -> None:
    """A zip in the place of the weights, with another one in it."""
    inner = packed([("inner.zip", packed([("zeros", bytes(2**24))], zipfile.ZIP_DEFLATED))])
    write_bytes(path, packed(listed(members | {WEIGHTS: inner})))


def altered(members: Members, path: Path) -> None:
    """A byte of the weights, whose checksum in the zip is right."""
    changed = members[WEIGHTS][:-1] + bytes([members[WEIGHTS][-1] ^ 1])
    write_bytes(path, packed([*(members | {WEIGHTS: changed}).items(), ("manifest.json", manifest(members))]))


def without(name: str) -> Maker:
    """A member less, and not in the manifest."""
    return lambda members, path: write_bytes(
        path, packed(listed({one: content for one, content in members.items() if one != name}))
    )


def poisoned(tensors: dict[str, torch.Tensor]) -> None:
    """One weight in hundreds."""
    tensors["encoder.1.convs.0.conv.weight"][0, 0, 0, 0, 0] = float("nan")


def without_nul(members: Members, path: Path) -> None:
    """A name that ends where a C program would stop to read."""
    content = packed([*listed(members), ("selection.json_.exe", b"{}")])
    write_bytes(path, content.replace(b"selection.json_.exe", b"selection.json\0.exe"))


INVALID = "{file}/plan.json is not a valid plan (configurations.3d_fullres."
FIT = f"{{file}}/{WEIGHTS}: the weights do not fit the network of the plan beside them ("
DAMAGED = f"{{file}}/{WEIGHTS}: is damaged or no safetensors file ("
FIRST = "encoder.0.convs.0.conv.weight"
HUGE = {FIRST: {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}}
OVERLAP = {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in ("a", "b")}

# what: maker, how the sentence begins ({file}: the archive), how it ends
ARCHIVES: dict[str, tuple[Maker, str, str]] = {
    "a path upwards": (adding("../evil.json"), "{file}: holds '../evil.json', ", NO_PART),
    "an absolute path": (adding("/etc/cron.d/evil"), "{file}: holds '/etc/cron.d/evil', ", NO_PART),
    "a path that leaves on the way": (adding("2d/../../evil.json"), "{file}: holds '2d/../../evil.json', ", NO_PART),
    "a backslash": (adding("2d\\fold0\\plan.json"), "{file}: holds '2d\\\\fold0\\\\plan.json', ", NO_PART),
    "a drive letter": (adding("C:/plan.json"), "{file}: holds 'C:/plan.json', ", NO_PART),
    "a NUL in a name": (without_nul, "{file}: holds 'selection.json', ", NO_PART),
    "a line break in a name": (adding(PLAN + "\n"), f"{{file}}: holds '{PLAN}\\n', ", NO_PART),
    "a letter that looks alike": (adding("2d/f\u043eld0/plan.json"), "{file}: holds '2d/f", NO_PART),
    "a symbolic link": (symlink, f"{{file}}: holds '{PLAN}', ", NO_PART),
    "a program": (adding(f"{FOLD}/run.py"), f"{{file}}: holds '{FOLD}/run.py', ", NO_PART),
    "a pickle": (adding(f"{FOLD}/checkpoint_final.pth"), f"{{file}}: holds '{FOLD}/checkpoint_final.pth', ", NO_PART),
    "a bomb": (bomb, "{file}: claims to hold more than it can", AGAIN),
    "a zip in a zip": (nested, DAMAGED, "fetch the model again."),
    "thousands of members": (adding(*(f"a{n}/all/plan.json" for n in range(2000))), "{file}: claims to hold", AGAIN),
    "members that overlap": (overlapping, "{file}: is truncated, or no model that `autoseg export` wrote", AGAIN),
    "a size too large": (lying_sizes(2**31), "{file}: claims to hold more than it can", AGAIN),
    "a size too small": (lying_sizes(16), "{file}: is truncated, or no model that `autoseg export` wrote", AGAIN),
    "a name twice": (adding("plan.json"), "{file}: holds two members of one name", AGAIN),
    "a name twice but for case": (adding("PLAN.json"), "{file}: holds two members of one name", AGAIN),
    "an altered byte": (altered, f"{{file}}: {WEIGHTS} was altered", AGAIN),
    "a member that the manifest lacks": (
        adding("selection.json"),
        "{file}: does not hold what its manifest lists (selection.json)",
        AGAIN,
    ),
    "no weights": (without(WEIGHTS), f"{{file}}: lacks {WEIGHTS}", AGAIN),
    "no plan": (without("plan.json"), "{file}: lacks plan.json", AGAIN),
    "a text": (lambda _, path: write_bytes(path, b"model"), "{file}: is truncated, or no model", AGAIN),
    "a pickle in place of the file": (
        lambda _, path: write_bytes(path, pickle.dumps({"plan.json": 1})),
        "{file}: is truncated, or no model that `autoseg export` wrote",
        AGAIN,
    ),
    "a billion features": (
        planned(network__features_per_stage=[10**9, 10**9]),
        f"{INVALID}network.features_per_stage.0: ",
        "run `autoseg plan` again.",
    ),
    "a million stages": (
        planned(network__features_per_stage=[1] * 10**6),
        f"{INVALID}network.features_per_stage: ",
        "run `autoseg plan` again.",
    ),
    "a billion blocks": (
        planned(network__blocks_per_stage=[10**9, 1]),
        f"{INVALID}network.blocks_per_stage.0: ",
        "run `autoseg plan` again.",
    ),
    "a patch of 10^27 voxels": (
        planned(patch_size=[10**9] * 3),
        f"{INVALID}patch_size.0: ",
        "run `autoseg plan` again.",
    ),
    "wide layers": (planned(network__features_per_stage=[2**16, 2**16]), FIT, ")."),
    "an unknown network": (planned(network__name="os.system"), f"{INVALID}network.", "run `autoseg plan` again."),
    "a network of the machine": (
        planned(network=published("os.system")),
        "network 'os.system' is not in the catalogue; choose one of ",
        "unet_plus_plus.",
    ),
    "a published network with a billion features": (
        planned(network=published("nopool_aspp", features=10**9)),
        f"{INVALID}network.params.features: has a number above 65536",
        "again.",
    ),
    "a published network that is too wide": (planned(network=published("nopool_aspp", features=2**16)), FIT, ")."),
    "a patch larger than any memory": (
        planned(patch_size=[65528] * 3),
        "sub-00_T1w: needs about ",
        "free memory, or use a machine with more.",
    ),
    "a spacing that makes a voxel a million": (
        planned(spacing_mm=[1e-9] * 3, crop="none"),
        "sub-00_T1w: needs about ",
        "free memory, or use a machine with more.",
    ),
    "another network": (planned(network__name="residual_encoder_unet"), FIT, ")."),
    "a plan of zeros": (changing(top=lambda _: bytes(100)), "{file}/plan.json is not a valid plan (", "again."),
    "a plan nested too deeply": (changing(top=lambda _: b"[" * 10**6), "{file}/plan.json is not a valid", "again."),
    "a tensor of 2^60 numbers": (header(HUGE, bytes(4)), DAMAGED, "fetch the model again."),
    "tensors that overlap": (header(OVERLAP, bytes(8)), DAMAGED, "fetch the model again."),
    "a header of 2^60 bytes": (changing(weights=lambda _: struct.pack("<Q", 2**60)), DAMAGED, "again."),
    "weights that are pickled": (changing(weights=lambda _: pickle.dumps([1])), DAMAGED, "fetch the model again."),
    "weights that are whole numbers": (
        weighted(lambda tensors: tensors.update({FIRST: tensors[FIRST].to(torch.int32)})),
        f"{FIT}{FIRST} holds numbers of type torch.int32",
        ").",
    ),
    "weights of another shape": (
        weighted(lambda tensors: tensors.update({FIRST: torch.zeros(4, 1, 1, 1, 1)})),
        f"{FIT}{FIRST} has the shape (4, 1, 1, 1, 1) and should have (4, 1, 3, 3, 3)",
        ").",
    ),
    "a weight too few": (weighted(lambda tensors: tensors.pop(FIRST)), f"{FIT}{FIRST} is missing", ")."),
    "a weight too many": (
        weighted(lambda tensors: tensors.update({"trap": torch.zeros(1)})),
        f"{FIT}trap is too much",
        ").",
    ),
    "weights that are no numbers": (
        weighted(poisoned),
        f"{{file}}/{WEIGHTS}: the weight encoder.1.convs.0.conv.weight is not finite",
        "train the model again.",
    ),
}
