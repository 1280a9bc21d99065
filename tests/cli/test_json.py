"""The schemas of ``--json``; every test of this folder holds what is printed against them (``conftest``)."""

import json

import jsonschema
import pytest

from autoseg.cli import VERBS
from autoseg.core.plan import Plan
from autoseg.pipeline import profiling
from autoseg.reporting.profile_table import LibraryRun
from tests.cli.documents import ENDING, SCHEMAS, require_valid, validator

NAMES = sorted(path.name.removesuffix(ENDING) for path in SCHEMAS.iterdir())


def parts(schema, place="$"):
    """Every schema within a schema, with its place."""
    yield place, schema
    for keyword in ("properties", "$defs"):
        for name, one in schema.get(keyword, {}).items():
            yield from parts(one, f"{place}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from parts(schema[keyword], f"{place}[{keyword}]")
    for keyword in ("oneOf", "anyOf", "prefixItems"):
        for number, one in enumerate(schema.get(keyword, [])):
            yield from parts(one, f"{place}[{keyword} {number}]")


def test_every_verb_has_a_schema_and_there_is_no_other():
    assert set(NAMES) == set(VERBS)


@pytest.mark.parametrize("verb", NAMES)
def test_a_schema_is_valid_strict_and_describes_every_property(verb):
    schema = validator(verb).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"autoseg {verb} --json"
    for place, part in parts(schema):
        if part.get("type") == "object":
            assert "additionalProperties" in part or verb == "plan", place
        for name, one in part.get("properties", {}).items():
            assert part["additionalProperties"] is False, place
            described = one.get("description", "")
            assert described, f"{place}.{name}"
            assert "\n" not in described


def test_the_schema_of_a_plan_is_that_of_the_document():
    """A field that is added to a plan is added to the schema, with the same types."""
    ours, own = validator("plan").schema, Plan.model_json_schema(mode="serialization")
    both = {"Plan": (ours, own)} | {name: (ours["$defs"].get(name, {}), one) for name, one in own["$defs"].items()}
    for name, (written, made) in both.items():
        if "properties" in made:
            assert without_words(written["properties"]) == without_words(made["properties"]), name
            assert set(written["required"]) == set(made["properties"]), name


def without_words(schema, names=True):
    """A schema without titles, descriptions and defaults; ``names`` says that its keys are names of properties."""
    if isinstance(schema, list):
        return [without_words(one, False) for one in schema]
    if not isinstance(schema, dict):
        return schema
    words = () if names else ("title", "description", "default", "discriminator")
    return {key: without_words(one, key == "properties") for key, one in schema.items() if key not in words}


@pytest.mark.parametrize(
    ("change", "place"), [({"size": 3}, "size"), ({"bytes": "3"}, "bytes"), ({"members": [1]}, "members")]
)
def test_another_document_is_refused(change, place):
    good = {"file": "a.autoseg.zip", "bytes": 3, "members": ["plan.json"]}
    require_valid("export", json.dumps(good))
    with pytest.raises(AssertionError, match=place):
        require_valid("export", json.dumps(good | change))
    with pytest.raises(AssertionError, match="'bytes' is a required property"):
        require_valid("export", json.dumps({key: value for key, value in good.items() if key != "bytes"}))


def test_demo_says_what_run_says(autoseg, capsys, monkeypatch, tmp_path):
    """The real one is slow (``test_whole``)."""
    result = {"dataset": "Demo", "configuration": "2d", "folds": {"fold0": None}, "workspace": str(tmp_path)}
    monkeypatch.setattr("autoseg.pipeline.whole.run", lambda *arguments: result)
    monkeypatch.setattr("autoseg.pipeline.whole.with_report", lambda workspace, found: found | {"report": "Demo.html"})
    assert autoseg("demo", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["folds"]["fold0"] == {"folder": f"{tmp_path}/models/Demo/2d/fold0", "validation": None}


def test_a_profile_of_libraries(autoseg, capsys, monkeypatch, tmp_path):
    """The real one is slow (``test_profile``)."""
    usage = {name: {"mean": 1.0, "peak": 2.0} for name in ("cpu_percent", "memory_gb")}
    times = {"step": {"number": 3, "mean": 0.5, "shortest": 0.4, "longest": 0.6}}
    phases = {"rest": {"seconds": 1.0, **usage}, "train": {"seconds": 2.0, **usage, "times_s": times}}
    execution = {"train": "cpu (2 threads), fp32"}
    run = LibraryRun("2d", "plain_unet", "torch", 10, 0, (16, 16), 2, 250, 50, execution, phases)
    monkeypatch.setattr(profiling, "profile", lambda *arguments: [run])
    assert autoseg("profile", "Tiny", "-o", tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["step_s"] == 0.5
