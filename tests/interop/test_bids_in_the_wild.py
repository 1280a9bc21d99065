"""Every layout gives its match table or a clear sentence, and nothing in a source is changed by a conversion."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.interop.bids_matching import Matched, Request, match_dataset
from autoseg.interop.conversion_recipe import DatasetRecipe
from autoseg.io.workspace import Workspace
from autoseg.planning.folds import split_cases
from tests.interop.bids_files import LABELS, Writer, ball
from tests.interop.wild_layouts import LAYOUTS

# Datasets of other things than images: one sentence, no table.
WITHOUT_IMAGES = {
    "eeg": ("sub-01/eeg/sub-01_task-rest_eeg.vhdr", "sub-01/eeg/sub-01_task-rest_events.tsv"),
    "meg": ("sub-01/ses-1/meg/sub-01_ses-1_task-a_meg.ds/sub-01_ses-1_task-a_meg.meg4", "sub-01/sub-01_scans.tsv"),
    "motion": ("sub-01/motion/sub-01_task-walk_tracksys-imu_motion.tsv", "sub-01/motion/sub-01_channels.tsv"),
    "fnirs": ("sub-01/nirs/sub-01_task-tap_nirs.snirf",),
}


def plant(root: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        file = root / (path if "." in path.rpartition("/")[2] or ".zarr" in path or ".ds" in path else f"{path}.nii.gz")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def match(root: Path, **request: object) -> Matched:
    defaults = {"name": "site", "contrasts": (), "channels": (), "recipe": DatasetRecipe()}
    return match_dataset(root, Request(**(defaults | request)))


def stem(path: Path) -> str:
    return path.name.partition(".")[0]


def table(matched: Matched) -> dict[str, tuple[str, ...]]:
    return {
        "+".join(map(stem, case.images)): tuple(sorted(stem(part.path) for part in case.labels.parts))
        for case in matched.cases
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_match_table_of_a_layout(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    plant(tmp_path / "site", layout.paths)
    matched = match(tmp_path / "site", **dict(layout.request))
    assert table(matched) == layout.cases
    sentences = [problem.sentence for problem in matched.problems] + list(matched.notes)
    for part in layout.said:
        assert any(part in sentence for sentence in sentences), (part, sentences)


@pytest.mark.parametrize("name", LAYOUTS)
def test_empty_files_are_one_sentence(name: str, tmp_path: Path) -> None:
    plant(tmp_path / "site", LAYOUTS[name].paths)
    with pytest.raises(BadInput, match=r"site has images .*(and labels|and no labels).*\."):
        plan_conversion([tmp_path / "site"])


@pytest.mark.parametrize("name", WITHOUT_IMAGES)
def test_datasets_without_images(name: str, tmp_path: Path) -> None:
    plant(tmp_path / "site", WITHOUT_IMAGES[name])
    with pytest.raises(BadInput, match="the sub-\\* folders hold no image"):
        plan_conversion([tmp_path / "site"])


def snapshot(*roots: Path) -> dict[str, tuple[str, int]]:
    """Path -> checksum (or target of a link) and time of change, of everything below."""
    found = {}
    for root in roots:
        for folder, folders, files in os.walk(root):
            for path in (Path(folder, name) for name in (*folders, *files)):
                if path.is_symlink():
                    content = str(path.readlink())
                else:
                    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
                found[str(path)] = (content, path.lstat().st_mtime_ns)
    return found


def test_sources_are_untouched(write: Writer, tmp_path: Path) -> None:
    for number in (1, 2):
        name = f"sub-{number}"
        write(f"a/{name}/anat/{name}_T2w.nii.gz")
        write(f"a/{LABELS}/{name}/anat/{name}_T2w_seg-manual.nii.gz", ball(1, 4, 255))
        write(f"a/{LABELS}/{name}/anat/{name}_T2w_lesion-manual.nii.gz", ball(1, 2))
        write(f"b/{name}/ses-1/anat/{name}_ses-1_T2w.nii")
        path = f"b/derivatives/x/{name}/ses-1/anat/{name}_ses-1_label-seg_probseg.nii.gz"
        write(path, ball(1, 4) * 0.7, dtype="float32")
        write(path.replace("label-seg", "label-lesion"), ball(1, 2) * 0.6, dtype="float32")
    (tmp_path / "a/participants.tsv").write_text("participant_id\tfamily\nsub-1\t1\nsub-2\t2\n")
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"group": "family"}')
    sources = (tmp_path / "a", tmp_path / "b")
    before = snapshot(*sources)
    report = convert(plan_conversion(sources, recipe=recipe), tmp_path / "out", "Both")
    assert len(report.cases) == 4
    assert {path.name.removesuffix(".nii.gz") for path in (tmp_path / "out/labelsTr").iterdir()} == {
        case.name for case in report.cases
    }
    assert snapshot(*sources) == before


def big(root: Path, subjects: int = 1000) -> None:
    contrasts = ("T1w", "T2w", "T2star")
    for number in range(subjects):
        name = f"sub-{number:04d}"
        for folder, ending in ((root / name, ""), (root / LABELS / name, "_seg-manual")):
            (folder / "anat").mkdir(parents=True)
            for contrast in contrasts:
                (folder / "anat" / f"{name}_{contrast}{ending}.nii.gz").touch()


def test_a_thousand_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder is listed once, and the number of files asked for their status does not grow with them."""
    big(tmp_path / "site")
    calls: Counter[str] = Counter()

    def counted(name: str) -> None:
        real = getattr(os, name)

        def count(*args: object, **kwargs: object) -> object:
            calls[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, count)

    for name in ("scandir", "stat", "lstat", "listdir"):
        counted(name)
    matched = match(tmp_path / "site")
    assert (len(matched.index.images), len(matched.index.labels), len(matched.cases)) == (3000, 3000, 3000)
    assert calls["scandir"] == 1 + 1000 * 2 + 2 + 1000 * 2 + 1  # root, subjects, derivatives, labels, subjects; ours
    assert calls["stat"] + calls["lstat"] + calls["listdir"] < 50


def test_links_to_folders_are_followed_but_not_in_circles(write: Writer, tmp_path: Path) -> None:
    write("store/one/anat/sub-1_T2w.nii.gz")
    write("store/masks/sub-1/anat/sub-1_T2w_seg-manual.nii.gz", ball(1, 3))
    site = tmp_path / "site"
    (site / "derivatives").mkdir(parents=True)
    (site / "sub-1").symlink_to(tmp_path / "store/one")
    (site / "derivatives/labels").symlink_to("../../store/masks")
    (tmp_path / "store/masks/again").symlink_to(tmp_path / "store/masks")
    (tmp_path / "store/masks/around").symlink_to(site / "derivatives")
    (tmp_path / "store/one/self").symlink_to("self")
    (tmp_path / "linked").symlink_to(site)
    assert table(match(tmp_path / "linked")) == {"sub-1_T2w": ("sub-1_T2w_seg-manual",)}
    report = convert(plan_conversion([tmp_path / "linked"]), tmp_path / "out", "Linked")
    assert [case.name for case in report.cases] == ["site_sub-1_T2w"]


def test_git_annex_content_that_is_not_here_is_named(write: Writer, tmp_path: Path) -> None:
    for number in range(1, 6):
        write(f"site/sub-{number}/anat/sub-{number}_T2w.nii.gz")
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_T2w_seg-manual.nii.gz", ball(1, 3))
    key = "annex/objects/MD5E-s3--0a.nii.gz/MD5E-s3--0a.nii.gz"
    locked = tmp_path / "site/sub-1/anat/sub-1_T2w.nii.gz"
    locked.unlink()
    locked.symlink_to(f"../../.git/{key}")
    (tmp_path / "site/sub-2/anat/sub-2_T2w.nii.gz").write_text(f"/{key}\n")  # unlocked
    (tmp_path / f"site/{LABELS}/sub-3/anat/sub-3_T2w_seg-manual.nii.gz").write_text(f"/{key}\n")
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 3\n"
    (tmp_path / "site/sub-4/anat/sub-4_T2w.nii.gz").write_text(lfs)
    (tmp_path / "site/participants.tsv").symlink_to(f".git/{key}")
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.name for case in conversion.cases] == ["site_sub-5_T2w"]
    said = {problem.file.name: problem.sentence for problem in conversion.problems}
    annex = "its content is not here (git-annex); get it with `datalad get` or `git annex get`."
    assert said == {
        "sub-1_T2w.nii.gz": annex,
        "sub-2_T2w.nii.gz": annex,
        "sub-3_T2w_seg-manual.nii.gz": annex,
        "sub-4_T2w.nii.gz": "its content is not here (Git LFS); get it with `git lfs pull`.",
    }
    assert len(convert(conversion, tmp_path / "out", "Annex").cases) == 1


def test_a_table_of_names_that_is_not_here_leaves_the_others(write: Writer, tmp_path: Path) -> None:
    for number in (1, 2):
        write(f"site/sub-{number}/anat/sub-{number}_T2w.nii.gz")
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_dseg.nii.gz", ball(1, 3))
    (tmp_path / f"site/{LABELS}/sub-1/anat/sub-1_dseg.tsv").symlink_to("../.git/annex/objects/a/a")
    (tmp_path / f"site/{LABELS}/sub-2/anat/sub-2_dseg.tsv").write_text("index\tname\n1\tcord\n")
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.name for case in conversion.cases] == ["site_sub-2_T2w"]
    assert any("table of label names cannot be read" in problem.sentence for problem in conversion.problems)


def test_sessions_runs_and_contrasts_of_a_subject_stay_together(write: Writer, tmp_path: Path) -> None:
    for number in range(1, 6):
        for session, run, contrast in ((1, 1, "T1w"), (1, 2, "T1w"), (2, 1, "T1w"), (2, 1, "T2w")):
            name = f"sub-{number}_ses-{session}_run-{run}_{contrast}"
            write(f"site/sub-{number}/ses-{session}/anat/{name}.nii.gz")
            write(f"site/{LABELS}/sub-{number}/ses-{session}/anat/{name}_seg-manual.nii.gz", ball(1, 3))
    (tmp_path / "site/participants.tsv").write_text(
        "participant_id\tfamily\n" + "".join(f"sub-{n}\t{n // 2}\n" for n in range(1, 6))
    )
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"group": "family"}')
    workspace = Workspace(tmp_path / "workspace")
    for dataset, file in (("Subjects", None), ("Families", recipe)):
        convert(plan_conversion([tmp_path / "site"], recipe=file), workspace.dataset_folder(dataset), dataset)
        cases = workspace.read_dataset(dataset).cases
        assert len(cases) == 20
        owners = {case.name: int(case.subject.rpartition("-")[2]) // (1 if file is None else 2) for case in cases}
        for fold in split_cases(cases):
            assert not {owners[name] for name in fold.train} & {owners[name] for name in fold.validation}
    assert {case.group for case in cases} == {"family=0", "family=1", "family=2"}


def test_soft_labels_of_a_dataset(write: Writer, tmp_path: Path) -> None:
    write("site/sub-1/anat/sub-1_T1w.nii.gz")
    for tissue, low, high, height in (("GM", 0, 2, 0.45), ("WM", 1, 4, 0.8)):
        path = f"site/derivatives/seg/sub-1/anat/sub-1_label-{tissue}_probseg.nii.gz"
        write(path, ball(low, high) * height * 0.7, dtype="float32")
    conversion = plan_conversion([tmp_path / "site"])
    assert conversion.cases[0].labels.convention == "*_label-NAME_probseg (threshold 0.5)"
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"datasets": {"site": {"threshold": 0.25}}}')
    lower = plan_conversion([tmp_path / "site"], recipe=recipe)
    assert lower.cases[0].labels.convention == "*_label-NAME_probseg (threshold 0.25)"
    sizes = []
    for number, made in enumerate((conversion, lower)):
        report = convert(made, tmp_path / f"out{number}", "Soft")
        import nibabel

        (file,) = (report.folder / "labelsTr").iterdir()
        sizes.append(np.bincount(np.asarray(nibabel.load(file).dataobj, dtype=int).ravel(), minlength=3).tolist())
    assert sizes == [[93, 0, 27], [86, 7, 27]]


def test_microscopy(tmp_path: Path) -> None:
    import imageio.v3 as iio

    for number in (1, 2):
        stem = f"sub-{number}_sample-A_SEM"
        for folder, ending, values in (
            ("", "", np.arange(30 * 40) % 251),
            (f"{LABELS}/", "_seg-axon-manual", 255 * (np.arange(30 * 40) > 600)),
            (f"{LABELS}/", "_seg-myelin-manual", 255 * (np.arange(30 * 40) < 200)),
        ):
            path = tmp_path / f"site/{folder}sub-{number}/micr/{stem}{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            iio.imwrite(path, values.reshape(30, 40).astype(np.uint8))
    conversion = plan_conversion([tmp_path / "site"])
    assert conversion.labels == {"background": 0, "axon": 1, "myelin": 2}
    convert(conversion, tmp_path / "out", "Axons")
    merged = iio.imread(tmp_path / "out/labelsTr/site_sub-2_sample-A_SEM.png").ravel()
    assert np.bincount(merged).tolist() == [401, 599, 200]


def test_formats_are_not_mixed(write: Writer, tmp_path: Path) -> None:
    test_microscopy(tmp_path)
    write("b/sub-1/anat/sub-1_T2w.nii.gz")
    for name in ("axon", "myelin"):
        write(f"b/{LABELS}/sub-1/anat/sub-1_T2w_label-{name}_mask.nii.gz", ball(1, 3))
    both = plan_conversion([tmp_path / "site", tmp_path / "b"])
    with pytest.raises(BadInput, match=r"several formats \(\.nii\.gz, \.png\)"):
        convert(both, tmp_path / "both", "Both")
