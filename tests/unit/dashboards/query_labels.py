"""Which labels the answer to a query has, if the series have theirs. A label that is not there fails the test."""

from collections.abc import Mapping

import promql_parser as promql

Labels = frozenset[str]
NONE: Labels = frozenset()


def labels_of(expr: promql.Expr, known: Mapping[str, Labels]) -> Labels:
    """The labels of the answer. Fails for an unknown series, and for a label that a part of the query cannot have."""
    match expr:
        case promql.VectorSelector():
            name = expr.name or ""
            assert name in known, f"{name} is not exported"
            return _having(known[name], {matcher.name for matcher in expr.matchers.matchers}, expr)
        case promql.MatrixSelector():
            return labels_of(expr.vector_selector, known)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            return labels_of(expr.expr, known)
        case promql.AggregateExpr():
            return _aggregated(expr, labels_of(expr.expr, known))
        case promql.Call():
            return _called(expr, known)
        case promql.BinaryExpr():
            return _matched(expr, labels_of(expr.lhs, known), labels_of(expr.rhs, known))
    return NONE  # a number or a text


def _having(labels: Labels, named: set[str], expr: promql.Expr) -> Labels:
    assert named <= labels, f"{sorted(named - labels)} is no label of {expr}"
    return labels


def _aggregated(expr: promql.AggregateExpr, labels: Labels) -> Labels:
    if expr.modifier is None:
        return labels if str(expr.op) in {"topk", "bottomk"} else NONE
    named = set(expr.modifier.labels)
    _having(labels, named, expr)
    return frozenset(named) if expr.modifier.type == promql.AggModifierType.By else labels - named


def _called(expr: promql.Call, known: Mapping[str, Labels]) -> Labels:
    parts = [labels_of(part, known) for part in expr.args]
    match expr.func.name:
        case "histogram_quantile":
            return _having(parts[1], {"le"}, expr) - {"le"}
        case "label_replace":
            assert isinstance(expr.args[1], promql.StringLiteral)
            return parts[0] | {expr.args[1].val}
    return frozenset().union(*parts)


def _matched(expr: promql.BinaryExpr, left: Labels, right: Labels) -> Labels:
    matching = expr.modifier.matching if expr.modifier else None
    if matching is None:
        assert str(expr.op) == "or" or NONE in (left, right) or left == right, f"no labels are equal in {expr}"
    elif matching.type == promql.LabelModifierType.Include:
        _having(left & right, set(matching.labels), expr)
    else:
        _having(left | right, set(matching.labels), expr)
    if str(expr.op) == "or":
        return left | right
    return left or right  # of `number * series` those of the series
