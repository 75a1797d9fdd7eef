"""The queries of manifests/dashboards, as the files have them, and as Grafana sends them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "manifests" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
CHOICES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. `where`: dashboard and title; `legend`: which labels are shown of what it answers."""

    where: str
    expr: str
    legend: str = ""

    def sent(self, values: Mapping[str, str]) -> str:
        """The query with the variables replaced, as Grafana does; a variable without a value is a KeyError.

        Without the zero that is there for want of anything else: it is not found, but written.
        """
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], self.expr).removesuffix(" or vector(0)")


def found(answer: Mapping[str, Any]) -> bool:
    """Whether Prometheus has a number at some moment of a range; NaN is none."""
    return any(value != "NaN" for series in answer["data"]["result"] for _, value in series["values"])


def dashboard(file: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return made


def panels(file: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard without its rows."""
    return [panel for panel in dashboard(file)["panels"] if panel["type"] != "row"]


def asked() -> Iterator[Asked]:
    """The queries of all panels, marks and variables."""
    for file in FILES:
        made = dashboard(file)
        for panel in panels(file):
            for target in panel["targets"]:
                where = f"{file.stem}: {panel['title']} {target['refId']}"
                yield Asked(where, target["expr"], target.get("legendFormat", ""))
        for mark in made["annotations"].get("list", ()):
            yield Asked(f"{file.stem}: mark {mark['name']}", mark["expr"], mark["textFormat"])
        for variable in made["templating"]["list"]:
            if variable["type"] == "query":
                (series, label), where = CHOICES.findall(variable["query"])[0], f"variable {variable['name']}"
                yield Asked(f"{file.stem}: {where}", series, f"{{{{{label}}}}}")
