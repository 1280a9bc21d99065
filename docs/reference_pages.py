"""The parts of the reference that are generated: the help of every verb, and the keys of a plan."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import typer
from pydantic import BaseModel

from autoseg.cli import VERBS, app
from autoseg.cli.bids_app import _parser
from autoseg.core import augmentation_spec, calibration, fingerprint, labels, network_spec, plan, training_spec
from autoseg.core import trained_ranges as ranges

WIDTH = 100
_MODULES = (plan, network_spec, augmentation_spec, training_spec, labels, fingerprint, ranges, calibration)


def fill(text: str) -> str:
    """``text`` with each ``<!-- generated: NAME -->`` replaced by what it names."""
    return re.sub(r"<!-- generated: (\w+) -->", lambda match: PARTS[match[1]](), text)


def verbs() -> str:
    """A section with the help of each verb."""
    group: Any = typer.main.get_command(app)
    parts = []
    for name, (_, summary) in VERBS.items():
        command = group.commands[name]
        context = command.context_class(
            command, info_name=f"autoseg {name}", terminal_width=WIDTH, max_content_width=WIDTH
        )
        parts.append(f"## {name}\n\n{summary}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    parts.append(f"## autoseg-bids\n\nThe BIDS App.\n\n```text\n{_parser().format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def plan_keys() -> str:
    """A table for each part of a plan, from its JSON schema; what a key means stands beside it in the source."""
    schema = plan.Plan.model_json_schema()
    documents = {"Plan": schema, **schema.get("$defs", {})}
    sections = "\n".join(_section(name, one) for name, one in documents.items() if "properties" in one)
    return sections.replace("[JsonValue](#jsonvalue)", "any JSON")


def _section(name: str, schema: dict[str, Any]) -> str:
    model = next((getattr(module, name) for module in _MODULES if hasattr(module, name)), None)
    remarks = _remarks(model) if model else {}
    rows = ["| key | type | unless given | what it is |", "|---|---|---|---|"]
    for key, one in schema["properties"].items():
        default = "" if key in schema.get("required", ()) else _default(one)
        rows.append(f"| `{key}` | {_type(one)} | {default} | {_cell(remarks.get(key, ''))} |")
    return f"## {name}\n\n{_about(model)}\n\n" + "\n".join(rows) + "\n"


def _about(model: type[BaseModel] | None) -> str:
    return re.sub(r"``([^`]*)``", r"`\1`", inspect.getdoc(model) or "") if model else ""


def _remarks(model: type[BaseModel]) -> dict[str, str]:
    """Key -> the comment behind its line."""
    source = inspect.getsource(model)
    return {match[1]: match[2] for match in re.finditer(r"^ {4}(\w+):[^#\n]*#\s*(.+)$", source, re.M)}


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "empty"
    value = schema["default"]
    return "as there" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"


def _type(schema: dict[str, Any]) -> str:
    return _cell(" or ".join(dict.fromkeys(_types(schema))))


def _types(schema: dict[str, Any]) -> Iterator[str]:
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _types(one)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    elif "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif schema.get("type") == "array":
        items = schema.get("items") or next(iter(schema.get("prefixItems", ())), None)
        count = f"{schema['minItems']} " if schema.get("minItems") and "maxItems" in schema else ""
        yield f"list of {count}{_type(items)}" if items else "list"
    elif schema.get("type") == "object" and schema.get("additionalProperties"):
        inner = schema["additionalProperties"]
        yield f"object of {_type(inner)}" if isinstance(inner, dict) else "object"
    elif "type" in schema:
        yield str(schema["type"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS: dict[str, Callable[[], str]] = {"verbs": verbs, "plan": plan_keys}
