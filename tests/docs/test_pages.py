"""The pages can be built without a warning, and each is reachable."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from autoseg.cli import VERBS, app
from autoseg.core.plan import Configuration, Plan

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference():
    pages = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs/reference_pages.py")
    module = importlib.util.module_from_spec(pages)
    pages.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path / "out")]
    built = subprocess.run([*command, "-d", str(tmp_path / "trees")], cwd=ROOT, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (tmp_path / "out" / page.with_suffix(".html")).is_file()} == set()
    python = (tmp_path / "out/reference/python.html").read_text(encoding="utf-8")
    for name in ("Predictor.load", "Segmentation.save", "api.train", "on_epoch"):
        assert name in python
    outside = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="https?://')
    assert [path for path in (tmp_path / "out").rglob("*.html") if outside.search(path.read_text("utf-8"))] == []


def test_the_reference_has_every_verb_and_every_option(reference):
    text = reference.verbs()
    commands = typer.main.get_command(app).commands
    for verb in VERBS:
        section = text.partition(f"## {verb}\n")[2].partition("\n## ")[0]
        assert f"Usage: autoseg {verb} " in section
        options = [option for parameter in commands[verb].params for option in parameter.opts if option[0] == "-"]
        assert [option for option in options if option not in section] == []
    assert "usage: autoseg-bids" in text
    assert "\x1b" not in text


def test_the_reference_has_every_key_of_a_plan(reference):
    text = reference.plan_keys()
    for model in (Plan, Configuration):
        section = text.partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]
        assert [key for key in model.model_fields if f"| `{key}` |" not in section] == []
    assert "| `batch_size` | integer |  |" in text
    assert "the patch holds any case: one forward pass, no tiles" in text
    sections = set(re.findall(r"^## (\w+)$", text, re.M))
    assert {link.lower() for link in re.findall(r"\]\(#(\w+)\)", text)} <= {name.lower() for name in sections}


def test_every_page_is_in_a_table_of_contents():
    docs = ROOT / "docs"
    listed = {"index"}
    for index in (docs / "index.md", docs / "decisions/index.md"):
        for tree in re.findall(r"```{toctree}\n(.*?)```", index.read_text(encoding="utf-8"), re.S):
            for entry in [line for line in tree.splitlines() if line and not line.startswith(":")]:
                found = sorted(index.parent.glob(f"{entry}.md"))
                assert found, f"{index}: {entry}"
                listed |= {path.relative_to(docs).with_suffix("").as_posix() for path in found}
    assert {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.md")} == listed


@pytest.mark.parametrize(
    "page", ["README.md", *(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md"))]
)
def test_no_link_leads_nowhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(\s*([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text, flags=re.S))
    local = [link for link in links if not link.startswith(("http:", "https:", "mailto:"))]
    assert [link for link in local if not ((ROOT / page).parent / link).exists()] == []
