"""docs/reference.md has all fields of the spec, and no others, with the defaults of the CRD."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def table() -> dict[str, str]:
    """The default of each field in the table, in its order."""
    rows = [line.split("|") for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]
    return {field.strip(" `"): default.strip() for _, field, _, default, *_ in rows}


def leaves(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields that hold values. `server.env` and the like are among them, because their form is that of a pod."""
    for name, child in node["properties"].items():
        here = f"{path}.{name}".lstrip(".")
        if "properties" in child:
            yield from leaves(child, here)
        elif "items" in child and here != "server.env" and "properties" in child["items"]:
            yield from leaves(child["items"], f"{here}[]")
        else:
            yield here, child


def test_the_table_has_the_fields_of_the_schema(schema: dict[str, Any]) -> None:
    """In the same order, so that people can compare the two easily."""
    assert list(table()) == [field for field, _ in leaves(schema["properties"]["spec"])]


def test_the_table_has_the_defaults_of_the_schema(schema: dict[str, Any]) -> None:
    """A default that the API server fills in is written as code; others are described in words."""
    stated = table()
    for field, part in leaves(schema["properties"]["spec"]):
        filled_in = re.fullmatch(r"`([^`]+)`", stated[field])
        default = part.get("default")
        written = str(default).lower() if isinstance(default, bool) else default and str(default)
        assert (filled_in[1] if filled_in else None) == written, field
