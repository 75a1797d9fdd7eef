"""What the dashboards take from manifests/alerts: the names of all alerts, and the limits that they fire at.

So a line that a panel draws is where the alert is, and not where it was once.
"""

from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "manifests" / "alerts"


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """All rules of all files, in their order."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.yaml"))]
    return tuple(rule for file in files for group in file["groups"] for rule in group["rules"])


def names() -> tuple[str, ...]:
    """The names of all alerts."""
    return tuple(rule["alert"] for rule in rules() if "alert" in rule)


def limit(alert: str) -> float:
    """The number that the alert compares with; of two comparisons the first. Raises StopIteration for another name."""
    comparison = promql.parse(next(rule["expr"] for rule in rules() if rule.get("alert") == alert))
    if isinstance(comparison, promql.BinaryExpr) and str(comparison.op) == "and":
        comparison = comparison.lhs
    assert isinstance(comparison, promql.BinaryExpr), alert
    return _number(comparison.rhs)


def _number(expression: promql.Expr) -> float:
    if isinstance(expression, promql.BinaryExpr):
        assert str(expression.op) == "*", expression
        return round(_number(expression.lhs) * _number(expression.rhs), 9)
    assert isinstance(expression, promql.NumberLiteral), expression
    return float(expression.val)
