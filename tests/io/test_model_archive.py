"""A model in one file: what is written comes back, and nothing else is accepted."""

import hashlib
import json
import warnings
import zipfile

import pytest

from autoseg.core.errors import BadInput
from autoseg.io import model_archive
from autoseg.io.model_archive import open_archive, write_archive

MEMBERS = {
    "plan.json": '{"plan": 1}',
    "selection.json": "{}",
    "3d_fullres/fold0/plan.json": '{"fold": 0}',
    "3d_fullres/fold0/final.safetensors": "weights " * 1000,
}


@pytest.fixture
def archive(tmp_path):
    weights = tmp_path / "final.safetensors"
    weights.write_text(MEMBERS["3d_fullres/fold0/final.safetensors"])
    path = tmp_path / "Cord.autoseg.zip"
    write_archive(path, "Cord", MEMBERS | {"3d_fullres/fold0/final.safetensors": weights})
    return path


def rewrite(path, change, compression=zipfile.ZIP_STORED, manifest=True):
    """The archive with other members; ``change`` maps its list of (name, content) to another one.

    With ``manifest`` their hashes are made right, so that nothing but the change can be what is refused.
    """
    with zipfile.ZipFile(path) as source:
        members = [(name, source.read(name)) for name in source.namelist() if name != "manifest.json"]
    members = change(members)
    if manifest:
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members}
        document = {"format": "autoseg model", "version": 1, "dataset": "Cord", "sha256": hashes}
        members.append(("manifest.json", json.dumps(document).encode()))
    path.unlink()
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as target:
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, content in members:
            target.writestr(name, content)
    return path


def test_what_is_written_comes_back_and_is_the_same_file_every_time(archive, tmp_path):
    root, manifest = open_archive(archive)
    assert manifest.dataset == "Cord"
    assert {name: (root / name).read_text(encoding="utf-8") for name in MEMBERS} == MEMBERS
    assert sorted(folder.name for folder in (root / "3d_fullres").iterdir()) == ["fold0"]
    again = tmp_path / "again.zip"
    write_archive(again, "Cord", MEMBERS)
    assert again.read_bytes() == archive.read_bytes()


def test_an_unchanged_rewriting_is_accepted(archive):
    """So the refusals below are for what was changed."""
    _, expected = open_archive(archive)
    _, manifest = open_archive(rewrite(archive, lambda members: members))
    assert manifest == expected


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(archive, share):
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match=r"Cord\.autoseg\.zip: is truncated.*export the model again"):
        open_archive(archive)


def test_every_altered_byte_of_a_member_is_noticed(archive):
    content = archive.read_bytes()
    for marker in (b"weights weights", b'{"fold": 0}', b'{"plan": 1}'):
        place = content.index(marker) + 3
        archive.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BadInput, match=r"was altered|is truncated"):
            open_archive(archive)


def test_an_altered_member_with_a_right_checksum_is_noticed(archive):
    def change(members):
        return [(name, content.replace(b"weights", b"Weights")) for name, content in members]

    with zipfile.ZipFile(archive) as source:
        manifest = source.read("manifest.json")
    rewrite(archive, lambda members: [*change(members), ("manifest.json", manifest)], manifest=False)
    with pytest.raises(BadInput, match=r"final\.safetensors was altered"):
        open_archive(archive)


def test_compressed_members_are_refused_before_they_are_read(archive, monkeypatch):
    rewrite(archive, lambda members: [*members, ("2d/all/plan.json", b"0" * 2**22)], zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("a member was read"))
    with pytest.raises(BadInput, match="claims to hold more than it can"):
        open_archive(archive)


def test_one_compressed_member_is_refused(archive):
    noise = hashlib.shake_256(b"").digest(20_000)
    rewrite(archive, lambda members: [(n, noise) if "final" in n else (n, c) for n, c in members], zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="compressed or encrypted"):
        open_archive(archive)


def test_a_document_of_any_size_is_not_read(archive, monkeypatch):
    monkeypatch.setattr(model_archive, "MAX_DOCUMENT_BYTES", 200)
    rewrite(archive, lambda members: [(n, b" " * 300) if n == "plan.json" else (n, c) for n, c in members])
    with pytest.raises(BadInput, match=r"plan\.json of 300 bytes"):
        open_archive(archive)


@pytest.mark.parametrize("missing", ["plan.json", "3d_fullres/fold0/plan.json", "3d_fullres/fold0/final.safetensors"])
def test_what_is_missing_is_named(archive, missing):
    rewrite(archive, lambda members: [(name, content) for name, content in members if name != missing])
    with pytest.raises(BadInput, match=f"lacks {missing}"):
        open_archive(archive)


def test_a_manifest_that_lists_something_else_is_refused(archive):
    def change(members):
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members if "selection" not in name}
        document = {"format": "autoseg model", "version": 1, "dataset": "Cord", "sha256": hashes}
        return [*members, ("manifest.json", json.dumps(document).encode())]

    rewrite(archive, change, manifest=False)
    with pytest.raises(BadInput, match=r"does not hold what its manifest lists \(selection\.json\)"):
        open_archive(archive)


@pytest.mark.parametrize("document", [b"", b"[]", b'{"format": "autoseg model", "version": 2, "dataset": "Cord"}'])
def test_a_manifest_of_another_kind_is_refused(archive, document):
    rewrite(archive, lambda members: [*members, ("manifest.json", document)], manifest=False)
    with pytest.raises(BadInput, match="has a manifest of another kind or version"):
        open_archive(archive)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(BadInput, match="there is no such file; give the file that `autoseg export` wrote"):
        open_archive(tmp_path / "none.autoseg.zip")


def test_no_half_written_archive_is_left(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "a.autoseg.zip", "Cord", {"plan.json": "{}", "x": tmp_path / "missing"})
    assert list(tmp_path.iterdir()) == []
