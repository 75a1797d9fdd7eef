"""The page about the values of the chart: docs/chart-values.md, from values.schema.json and values.yaml."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from dev.api_server import ROOT

_SCHEMA = ROOT / "chart" / "values.schema.json"
_VALUES = ROOT / "chart" / "values.yaml"
_HEAD = """# Values of the chart

Made from `chart/values.schema.json` and `chart/values.yaml` by `make manifests`. How to install with them is in
[install.md](install.md). A value that is not in this table is refused.

| value | default | meaning |
| --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One row: a value that a person may set."""

    name: str
    default: Any
    meaning: str


def described() -> dict[str, str]:
    """What the schema says of each value, by its name with dots."""
    return dict(_described(json.loads(_SCHEMA.read_text(encoding="utf-8")), ""))


def _described(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in schema["properties"].items():
        if "properties" in value:
            yield from _described(value, f"{prefix}{key}.")
        else:
            one_of = f" One of {', '.join(value['enum'])}." if "enum" in value else ""
            yield f"{prefix}{key}", f"{value['description']}{'.' if one_of else ''}{one_of}"


def defaults() -> dict[str, Any]:
    """The default of each value that the schema describes, by its name with dots."""
    values = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))
    return {name: _at(values, name.split(".")) for name in described()}


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def page() -> str:
    """The text of the page."""
    found = defaults()
    rows = (Value(name, found[name], meaning) for name, meaning in described().items())
    return _HEAD + "".join(f"| `{row.name}` | {_shown(row.default)} | {row.meaning} |\n" for row in rows)


def _shown(default: Any) -> str:
    if default in ("", [], {}):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"
