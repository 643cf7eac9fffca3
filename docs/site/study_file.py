"""The reference of the study file, from its schema."""

import json
from typing import Any

from mapsearch.core.spec import StudySpec

INTRODUCTION = """# The study file

Every key with its default and what it may be; `mapsearch schema` prints the same as JSON Schema, for editors.
`--set KEY=VALUE` sets any of them beside the file. Misspelt keys get close matches, and all problems of a file are
told at once.
"""
BOUNDS = {"minimum": ">= ", "exclusiveMinimum": "> ", "maximum": "<= ", "exclusiveMaximum": "< "}


def page() -> str:
    """The keys of the file, then those of every section."""
    schema = StudySpec.model_json_schema()
    top = {key: field for key, field in schema["properties"].items() if "$ref" not in field}
    sections = {
        key: schema["$defs"][field["$ref"].rpartition("/")[2]]
        for key, field in schema["properties"].items()
        if "$ref" in field
    }
    parts = [INTRODUCTION, _table(top, schema["required"])]
    parts += [
        f"## {key}\n\n{section['description']}\n\n{_table(section['properties'])}" for key, section in sections.items()
    ]
    return "\n".join(parts)


def _table(fields: dict[str, Any], required: tuple[str, ...] = ()) -> str:
    rows = ["| key | default | may be | |", "| --- | --- | --- | --- |"]
    for key, field in fields.items():
        default = "required" if key in required else f"`{_default(field)}`"
        rows.append(f"| `{key}` | {default} | {_may_be(field)} | {field['description']} |")
    return "\n".join(rows) + "\n"


def _default(field: dict[str, Any]) -> str:
    """As it would stand in the file."""
    value = field.get("default", {})
    return value if isinstance(value, str) else json.dumps(value)


def _may_be(field: dict[str, Any]) -> str:
    """`one of a, b`, `number > 0`, `list of ...`, from a field's schema."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_may_be(branch) for branch in field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{name}`" for name in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])} {_may_be(field['prefixItems'][0])}s"
    if field.get("type") == "array":
        return f"list of {_may_be(field.get('items', {})) or 'anything'}"
    kind = {"null": "`null`", "string": "text", "integer": "whole number", "object": "keys and values"}
    bounds = " ".join(f"{sign}{field[name]:g}" for name, sign in BOUNDS.items() if name in field)
    return f"{kind.get(field.get('type', ''), field.get('type', ''))} {bounds}".strip()
