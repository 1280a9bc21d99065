"""Every snippet of the README and of the pages runs as it stands, but for shorter budgets."""

import re
from pathlib import Path

import pytest

from tests.docs.snippets import SECONDS, Block, blocks, commands, compare, loosely, run_page, shorter

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("docs/get-started.md", "README.md")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("how-to", "concepts", "reference")
    for path in (ROOT / "docs" / folder).glob("*.md")
)


@pytest.mark.parametrize("page", QUICK)
def test_the_first_pages(page, place):
    assert run_page(ROOT / page, place, {}) > 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_other_pages(page, place, trackers):
    stand_ins, calls = trackers
    tracking = "tracking" in page  # an epoch must end, in a time of which the timing of steps takes a part
    run_page(ROOT / page, place, stand_ins, seconds=10 if tracking else SECONDS)
    if tracking:
        assert {"wandb", "finish", "mlflow", "end"} == {name for name, _ in calls}
        assert all("mean_patch_dice" in figures for _, figures in calls if figures)


@pytest.mark.parametrize("page", [*QUICK, *PAGES])
def test_what_is_not_run_has_a_reason(page):
    for block in blocks((ROOT / page).read_text(encoding="utf-8")):
        assert block.language in ("sh", "python", "text", "json", "", "toctree")
        assert block.reason is None or len(block.reason) > 15


def test_blocks_are_found_with_their_language_and_reason():
    page = "text\n\n```sh\nautoseg plan A \\\n    --memory 2GB  # more\n# no command\n```\n\n"
    page += "<!-- not run: it cannot be -->\n```python\nx = 1\n```\n\n1. item\n\n   ```text\n   inside\n   ```\n\n"
    page += "    $ autoseg plan B\n    output\n\n    more\n"
    found = list(blocks(page))
    assert [block.language for block in found] == ["sh", "python", "text", ""]
    assert [block.reason for block in found] == [None, "it cannot be", None, None]
    assert [block.line for block in found] == [3, 10, 16, 20]
    assert commands(found[0]) == ["autoseg plan A  --memory 2GB  # more"]
    assert found[2].text == "inside"
    assert commands(found[3]) == ["autoseg plan B"]


def test_budgets_are_shortened_and_output_is_compared():
    assert (
        shorter("autoseg train A 2d cv --time-budget 8h --seed 3") == "autoseg train A 2d cv --time-budget 1s --seed 3"
    )
    assert shorter("train(time_budget_s=3600, seed=3)") == "train(time_budget_s=1, seed=3)"
    assert loosely("│ a │ 12.5 │") == loosely("┃ a ┃   3 ┃") == "| a | # |"
    compare("...\n4 cases", "one\n12  cases\n", "page:1")
    with pytest.raises(AssertionError, match="is not in"):
        compare("4 cases", "4 images", "page:1")


def test_a_snippet_that_fails_is_named(tmp_path):
    (tmp_path / "page.md").write_text("\n```sh\nautoseg plan Nothing\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:2: autoseg plan Nothing\n(.*\n)*.*there is no dataset"):
        run_page(tmp_path / "page.md", tmp_path, {})


def test_a_page_works_in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PWD", "/elsewhere")
    (tmp_path / "page.md").write_text('```sh\nexport PLACE=$PWD/x\nmkdir "$PLACE"\n```\n')
    assert run_page(tmp_path / "page.md", tmp_path, {}) == 1
    assert (tmp_path / "x").is_dir()


def test_every_verb_is_on_some_page():
    from autoseg.cli import VERBS

    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in (*QUICK, *PAGES))
    assert [verb for verb in VERBS if not re.search(rf"autoseg {verb}\b", text)] == []


def test_a_block_knows_its_reason():
    assert Block(1, "sh", "x", "an example").reason is None
