from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.case import Case, SpatialTrace
from autoseg.core.errors import BadInput
from autoseg.core.geometry import Reorientation
from autoseg.io import store

SHAPE = (40, 70, 35)


def make_case(name: str = "sub-01", seed: int = 0, shape=SHAPE, channels: int = 2) -> Case:
    random = np.random.default_rng(seed)
    trace = SpatialTrace(
        stored_shape=(44, 40, 70),
        reorientation=Reorientation((1, 2, 0), (False, True, False)),
        box=((0, 40), (0, 70), (3, 38)),
        resampled_shape=shape,
        spacing_mm=(1.0, 0.7, 1.0),
        resampled_spacing_mm=(1.0, 0.7, 1.1),
    )
    image = random.normal(size=(channels, *shape)).astype(np.float32)
    labels = random.choice(np.array([-1, 0, 1, 7], np.int16), shape, p=[0.1, 0.4, 0.49, 0.01])
    return Case(name, image, labels, trace)


@pytest.mark.parametrize("slices", [False, True])
@pytest.mark.parametrize("shape", [SHAPE, (3, 4, 5), (1, 90, 300)])
def test_what_is_saved_is_read(tmp_path: Path, slices: bool, shape):
    case = make_case(shape=shape)
    store.save_case(tmp_path, case, "key", slices)
    stored = store.open_case(tmp_path, case.name)
    assert (stored.name, stored.shape, stored.num_channels, stored.trace) == (case.name, shape, 2, case.trace)
    image, labels = stored.read(tuple((0, size) for size in shape))
    assert (image.dtype, labels.dtype) == (np.float32, np.int16)
    np.testing.assert_array_equal(image, case.image)
    np.testing.assert_array_equal(labels, case.labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sub-01.b2nd", "sub-01_labels.b2nd"]


def test_boxes_beyond_the_case_are_padded(tmp_path: Path):
    case = make_case()
    store.save_case(tmp_path, case, "key")
    stored = store.open_case(tmp_path, case.name)
    margin = 160
    padded_image = np.pad(case.image, ((0, 0), *[(margin, margin)] * 3))
    padded_labels = np.pad(case.labels, margin, constant_values=-1)
    random = np.random.default_rng(3)
    boxes = [((-20, -10), (0, 5), (0, 5))]
    for _ in range(40):
        start, size = random.integers(-60, 80, 3), random.integers(1, 80, 3)
        boxes.append(tuple((int(a), int(a + s)) for a, s in zip(start, size, strict=True)))
    for box in boxes:
        image, labels = stored.read(box)
        where = tuple(slice(a + margin, b + margin) for a, b in box)
        np.testing.assert_array_equal(image, padded_image[(slice(None), *where)])
        np.testing.assert_array_equal(labels, padded_labels[where])


def test_foreground_lists_voxels_of_each_label(tmp_path: Path):
    case = make_case()
    store.save_case(tmp_path, case, "key")
    foreground = store.open_case(tmp_path, case.name).foreground
    flat = case.labels.reshape(-1)
    assert list(foreground) == [1, 7]
    np.testing.assert_array_equal(foreground[7], np.flatnonzero(flat == 7))
    assert (flat == 1).sum() > 10_000
    assert len(np.unique(foreground[1])) == len(foreground[1]) == 10_000
    assert (flat[foreground[1]] == 1).all()
    # A fair draw: the mean place of the drawn voxels is that of all voxels (5 standard errors).
    assert abs(foreground[1].mean() / flat.size - 0.5) < 5 * np.sqrt(1 / 12 / 10_000)
    store.save_case(tmp_path, case, "again")
    np.testing.assert_array_equal(store.open_case(tmp_path, case.name).foreground[1], foreground[1])


def test_case_without_foreground(tmp_path: Path):
    case = make_case()
    empty = Case("empty", case.image, np.minimum(case.labels, 0), case.trace)
    store.save_case(tmp_path, empty, "key")
    assert store.open_case(tmp_path, "empty").foreground == {}


def test_stored_key(tmp_path: Path):
    assert store.stored_key(tmp_path, "sub-01") is None
    store.save_case(tmp_path, make_case(), "first")
    assert store.stored_key(tmp_path, "sub-01") == "first"
    store.save_case(tmp_path, make_case(seed=1), "second")
    assert store.stored_key(tmp_path, "sub-01") == "second"
    image, labels = tmp_path / "sub-01.b2nd", tmp_path / "sub-01_labels.b2nd"
    content = image.read_bytes()
    for damaged in (b"", b"no such thing", content[: len(content) // 2]):
        image.write_bytes(damaged)
        assert store.stored_key(tmp_path, "sub-01") is None
        with pytest.raises(BadInput, match=r"damaged; .*\.$"):
            store.open_case(tmp_path, "sub-01")
    image.write_bytes(content)
    assert store.stored_key(tmp_path, "sub-01") == "second"
    labels.unlink()
    assert store.stored_key(tmp_path, "sub-01") is None
    with pytest.raises(BadInput, match=r"missing; .*\.$"):
        store.open_case(tmp_path, "sub-01")


@pytest.mark.parametrize("can_link", [True, False])
def test_a_linked_case_is_the_same_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_link: bool):
    def refuse(*paths: object) -> None:
        raise OSError("no links here")

    if not can_link:
        monkeypatch.setattr(store.os, "link", refuse)
    case = make_case(shape=(5, 6, 7))
    store.save_case(tmp_path / "a", case, "key")
    store.link_case(tmp_path / "a", tmp_path / "b", case.name)
    store.link_case(tmp_path / "a", tmp_path / "b", case.name)
    assert store.stored_key(tmp_path / "b", case.name) == "key"
    image, _ = store.open_case(tmp_path / "b", case.name).read(((0, 5), (0, 6), (0, 7)))
    np.testing.assert_array_equal(image, case.image)
    assert len(list((tmp_path / "b").iterdir())) == 2


def test_a_failed_save_leaves_no_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store.save_case(tmp_path, make_case(), "old")
    write, calls = Path.write_bytes, []

    def write_labels_only(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) == 2:
            write(path, content[:100])
            raise OSError("disk full")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_labels_only)
    with pytest.raises(OSError, match="disk full"):
        store.save_case(tmp_path, make_case(seed=1), "new")
    assert store.stored_key(tmp_path, "sub-01") is None
    assert [path.name for path in tmp_path.iterdir()] == ["sub-01_labels.b2nd"]


def test_unlabelled_case_is_refused(tmp_path: Path):
    case = make_case()
    with pytest.raises(ValueError, match="without labels"):
        store.save_case(tmp_path, Case("a", case.image, None, case.trace), "key")


def test_threads_may_read_one_case(tmp_path: Path):
    case = make_case()
    store.save_case(tmp_path, case, "key")
    stored = store.open_case(tmp_path, case.name)

    def read(seed: int) -> bool:
        start = np.random.default_rng(seed).integers(0, 15, 3)
        box = tuple((int(a), int(a) + 20) for a in start)
        image, labels = stored.read(box)
        where = tuple(slice(a, b) for a, b in box)
        return bool((image == case.image[(slice(None), *where)]).all() and (labels == case.labels[where]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(200)))


def test_decoded_cases_are_those_that_came_first_within_the_limit(tmp_path: Path):
    cases = [make_case(f"sub-{number}", seed=number, shape=(6, 7, 8)) for number in range(40)]
    for case in cases:
        store.save_case(tmp_path, case, "key")
    stored = [store.open_case(tmp_path, case.name) for case in cases]
    size = 6 * 7 * 8 * (2 * 4 + 2)
    decoded = store.DecodedCases(20 * size + 1)
    for one in stored:
        decoded.read(one, ((0, 1), (0, 1), (0, 1)))
    for case in cases:
        (tmp_path / f"{case.name}.b2nd").unlink()
    box = ((-1, 4), (2, 9), (0, 8))
    for case, one in zip(cases[:20], stored[:20], strict=True):
        image, labels = decoded.read(one, box)
        np.testing.assert_array_equal(image, np.pad(case.image, ((0, 0), (1, 0), (0, 2), (0, 0)))[:, :5, 2:])
        padded = np.pad(case.labels, ((1, 0), (0, 2), (0, 0)), constant_values=-1)
        np.testing.assert_array_equal(labels, padded[:5, 2:])
    for one in stored[20:]:
        with pytest.raises(BadInput, match="missing"):
            decoded.read(one, box)


def test_what_is_read_of_a_decoded_case_may_be_written_to(tmp_path: Path):
    case = make_case(shape=(6, 7, 8))
    store.save_case(tmp_path, case, "key")
    stored, decoded = store.open_case(tmp_path, case.name), store.DecodedCases()
    for box in (((0, 6), (0, 7), (0, 8)), ((1, 2), (0, 7), (0, 8))):
        image, labels = decoded.read(stored, box)
        image[:], labels[:] = 77, 77
    image, labels = decoded.read(stored, ((0, 6), (0, 7), (0, 8)))
    np.testing.assert_array_equal(image, case.image)
    np.testing.assert_array_equal(labels, case.labels)


def test_a_large_case_is_never_decoded_whole(tmp_path: Path):
    case = make_case(shape=(6, 7, 8))
    store.save_case(tmp_path, case, "key")
    stored, decoded = store.open_case(tmp_path, case.name), store.DecodedCases(15 * 6 * 7 * 8 * 10)
    decoded.read(stored, ((0, 1), (0, 1), (0, 1)))
    (tmp_path / "sub-01.b2nd").unlink()
    with pytest.raises(BadInput, match="missing"):
        decoded.read(stored, ((0, 1), (0, 1), (0, 1)))


def test_threads_may_read_decoded_cases(tmp_path: Path):
    cases = [make_case(f"sub-{number}", seed=number, shape=(6, 7, 8)) for number in range(4)]
    for case in cases:
        store.save_case(tmp_path, case, "key")
    stored, decoded = [store.open_case(tmp_path, case.name) for case in cases], store.DecodedCases()

    def read(number: int) -> bool:
        image, labels = decoded.read(stored[number % 4], ((0, 6), (0, 7), (0, 8)))
        return bool((image == cases[number % 4].image).all() and (labels == cases[number % 4].labels).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(400)))


def test_foreground_is_kept_of_some_cases_and_read_anew_of_the_others(tmp_path, monkeypatch):
    cases = [make_case(name=f"case{number}") for number in range(3)]
    for case in cases:
        store.save_case(tmp_path, case, "key")
    one = store.open_case(tmp_path, "case0")
    size = sum(indices.nbytes for indices in one.foreground.values())
    monkeypatch.setattr(store, "FOREGROUND_BYTES", 2 * size)
    found = store.open_cases(tmp_path, [case.name for case in cases])
    assert [case.kept is not None for case in found.values()] == [True, True, False]
    for case in found.values():
        assert case.foreground.keys() == one.foreground.keys()
        for label, indices in case.foreground.items():
            np.testing.assert_array_equal(indices, store.open_case(tmp_path, case.name).foreground[label])
