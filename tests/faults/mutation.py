"""Random changes of bytes, JSON documents, tables and NIfTI headers; everything hangs on the generator alone."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from tests.faults.spoiling import HEADER

Mutate = Callable[[bytes, np.random.Generator], bytes]

MOST_CHANGES = 4
EXTREMES = {
    "i": (0, 1, -1, 2, 3, 7, 8, 9, 127, 255, 256, 32767, -32768, 2**31 - 1, -(2**31)),
    "u": (0, 1, 2, 127, 255),
    "f": (0.0, -0.0, 1.0, -1.0, 352.0, 353.0, 1e-45, 1e9, 3.4e38, -3.4e38, np.nan, np.inf, -np.inf),
}
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2.5,
    1e308,
    -1e308,
    10**40,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
    "\x00\ud800",
    "é" * 300,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"name": 3},
)
DEEP = "[" * 2000 + "]" * 2000
CELLS = ("", "\t", "\n", '"', "\x00", "..", "/etc", "\ufeff", "9" * 5000, "é", ";")


def mutate_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Bytes replaced, removed, doubled or moved, a part set to one value, or the end cut off."""
    changed = bytearray(content)
    for _ in range(random.integers(1, MOST_CHANGES + 1)):
        if not changed:
            break
        start = int(random.integers(len(changed)))
        # The beginning of a file says what the rest is.
        start = start if random.random() < 0.5 else start % min(len(changed), 512)
        length = int(random.integers(1, 17))
        choice = random.integers(6)
        if choice == 0:
            changed[start : start + length] = random.bytes(length)
        elif choice == 1:
            changed[start] ^= 1 << int(random.integers(8))
        elif choice == 2:
            del changed[start : start + length]
        elif choice == 3:
            changed[start:start] = changed[start : start + length]
        elif choice == 4:
            changed[start : start + length] = bytes([int(random.choice([0, 255, 127, 128]))]) * length
        else:
            del changed[start:]
    return bytes(changed)


def mutate_header(content: bytes, random: np.random.Generator) -> bytes:
    """Fields of a NIfTI-1 header set to extremes."""
    header = np.frombuffer(content[: HEADER.itemsize], HEADER, 1).copy()
    for _ in range(random.integers(1, MOST_CHANGES + 1)):
        field = HEADER.names[int(random.integers(len(HEADER.names)))]
        value = header[0][field]
        kinds = EXTREMES.get(header[field].dtype.kind)
        if kinds is None:
            header[0][field] = random.bytes(int(random.integers(1, 5)))
        elif value.ndim:
            value[int(random.integers(value.size))] = _fitting(kinds, value.dtype, random)
        else:
            header[0][field] = _fitting(kinds, value.dtype, random)
    return header.tobytes() + content[HEADER.itemsize :]


def _fitting(values: tuple[Any, ...], dtype: Any, random: np.random.Generator) -> Any:
    value = values[int(random.integers(len(values)))]
    with np.errstate(over="ignore"):
        return np.array(value).astype(dtype)


def packed(mutate: Mutate) -> Mutate:
    """What is inside a gzip stream changed, and now and then the stream as well."""

    def both(content: bytes, random: np.random.Generator) -> bytes:
        inside = gzip.compress(mutate(gzip.decompress(content), random), compresslevel=1, mtime=0)
        return mutate_bytes(inside, random) if random.random() < 0.2 else inside

    return both


def mutate_json(content: bytes, random: np.random.Generator) -> bytes:
    """Values of other types, keys removed, doubled or renamed, endless numbers, deep nesting; or as bytes."""
    if random.random() < 0.15:
        return mutate_bytes(content, random)
    document = [json.loads(content)]
    for _ in range(random.integers(1, MOST_CHANGES + 1)):
        _mutate_part(document, random)
    text = json.dumps(document[0])
    if random.random() < 0.1:
        text = text.replace("1", DEEP, 1)
    if random.random() < 0.1:
        text = text.replace("{", '{"name": "twice", "name": 2, ', 1)
    return text.encode("utf-8", "surrogatepass")


def _mutate_part(document: list[Any], random: np.random.Generator) -> None:
    """One place of the document, which is in a list so that it may be replaced itself."""
    owner: Any = document
    while True:
        keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
        key = keys[int(random.integers(len(keys)))]
        inner = owner[key]
        if isinstance(inner, dict | list) and inner and random.random() < 0.85:
            owner = inner
            continue
        break
    choice = random.integers(5)
    if choice == 0 and owner is not document:
        del owner[key]
    elif choice == 1 and isinstance(owner, dict):
        owner[str(VALUES[int(random.integers(len(VALUES)))])] = deepcopy(inner)
    elif choice == 2 and isinstance(owner, list):
        owner.insert(key, deepcopy(inner))
        if owner is document:
            document[:] = [[inner]]
    elif choice == 3 and isinstance(inner, int | float) and not isinstance(inner, bool):
        owner[key] = -inner if random.random() < 0.5 else inner * 10**9
    else:
        owner[key] = deepcopy(VALUES[int(random.integers(len(VALUES)))])


def mutate_pickle(content: bytes, random: np.random.Generator) -> bytes:
    """The pickle within a file of ``torch.save`` changed, the tensors beside it as they were."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.infolist():
            inside = old.read(member)
            new.writestr(member, mutate_bytes(inside, random) if member.filename.endswith(".pkl") else inside)
    return changed.getvalue()


def mutate_table(content: bytes, random: np.random.Generator) -> bytes:
    """Cells of a tab-separated table replaced, rows doubled or removed; or as bytes."""
    if random.random() < 0.3:
        return mutate_bytes(content, random)
    rows = [line.split("\t") for line in content.decode().splitlines()]
    for _ in range(random.integers(1, MOST_CHANGES + 1)):
        row = int(random.integers(len(rows)))
        choice = random.integers(4)
        if choice == 0 and len(rows) > 1:
            del rows[row]
        elif choice == 1:
            rows.append(rows[row])
        else:
            column = int(random.integers(len(rows[row])))
            rows[row] = [*rows[row][:column], CELLS[int(random.integers(len(CELLS)))], *rows[row][column + 1 :]]
    return "\n".join("\t".join(row) for row in rows).encode()
