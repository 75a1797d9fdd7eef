"""Confines a user's PromQL query to series of one namespace. Pure.

The operator asks its Prometheus with rights over all namespaces. So the query is parsed, each selector gets a matcher
for the namespace, and the tree is written out anew: nothing of the user's text is passed on as it was.

All namespaces share the process that parses. So its text is bounded before, the parser sees no strings (it would
compile those that are regexes), and where it panics, only this query is refused.
"""

from collections.abc import Iterable
from functools import lru_cache

import promql_parser as promql
from promql_parser import (
    AggModifierType,
    AtModifierType,
    Expr,
    LabelModifierType,
    MatchOp,
    VectorMatchCardinality,
)

from sluice_operator.analysis import promql_text
from sluice_operator.analysis.promql_text import Matching

_MAX_CHARACTERS = 8_192  # twice what the CRD allows, for the names that are written into a query
_MAX_PARTS = 300  # operators, brackets and commas: the parser takes quadratic time for deep ones
_CACHED = 1_000
# Metrics that are scraped in the gateway's namespace, and how a label of theirs names the one that they are about.
_OF_GATEWAYS = {"envoy_cluster_": ("envoy_cluster_name", "{}_.+")}  # Contour: NAMESPACE_SERVICE_PORT


class ConfinementError(Exception):
    """The query cannot be confined. The message says why, and what to write instead."""


@lru_cache(maxsize=_CACHED)
def confined(query: str, namespace: str) -> str:
    """`query` over the series of `namespace` alone. Raises ConfinementError."""
    if len(query) > _MAX_CHARACTERS:
        raise ConfinementError(f"it has {len(query)} characters: write at most {_MAX_CHARACTERS}")
    if where := promql_text.unbalanced(query):
        raise ConfinementError(f"it cannot be read as PromQL: {where}")
    bare, literals = promql_text.hidden(query)
    if (parts := promql_text.parts(bare)) > _MAX_PARTS:
        raise ConfinementError(f"it has {parts} operators, brackets and commas: write at most {_MAX_PARTS}")
    try:
        return _written(bare, literals, namespace)
    except (OverflowError, ValueError) as error:
        raise ConfinementError(f"a number or a time in it is out of range ({error})") from error
    except BaseException as error:  # the parser panics at some numbers, and a panic is no Exception
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise ConfinementError("a number or a time in it is out of range") from error


def _written(bare: str, literals: list[str], namespace: str) -> str:
    try:
        strings = [_string(literal) for literal in literals]
        tree = promql.parse(bare)
    except ValueError as error:
        raise ConfinementError(f"it cannot be read as PromQL, {error}: check it in Prometheus") from error
    return _Writer(namespace, strings).text(tree)


def _string(literal: str) -> str:
    node = promql.parse(literal)
    assert isinstance(node, promql.StringLiteral)
    return node.val


class _Writer:
    """Writes a tree as PromQL whose selectors are confined to `namespace`.

    `strings`: what was written in the places that the parser saw numbers for.
    """

    def __init__(self, namespace: str, strings: list[str]) -> None:
        self._namespace = namespace
        self._strings = strings

    def text(self, node: Expr) -> str:
        match node:
            case promql.NumberLiteral():
                return promql_text.number(node.val)
            case promql.StringLiteral():
                return promql_text.quoted(self._string(node.val))
            case promql.ParenExpr():
                return f"({self.text(node.expr)})"
            case promql.UnaryExpr():
                return f"-{self.text(node.expr)}"
            case promql.BinaryExpr():
                return f"{self.text(node.lhs)} {node.op}{self._modifier(node.modifier)} {self.text(node.rhs)}"
            case promql.AggregateExpr():
                return self._aggregation(node)
            case promql.Call():
                return self._call(node)
            case promql.VectorSelector():
                return self._selector(node) + _moved(node)
            case promql.MatrixSelector():
                inner = node.vector_selector
                return f"{self._selector(inner)}[{promql_text.duration(node.range)}]{_moved(inner)}"
            case promql.SubqueryExpr():
                return self._subquery(node)
            case _:
                raise ConfinementError(f"{type(node).__name__} is not supported")

    def _aggregation(self, node: promql.AggregateExpr) -> str:
        grouping = ""
        if node.modifier is not None:
            word = "by" if node.modifier.type == AggModifierType.By else "without"
            grouping = f" {word} ({self._labels(node.modifier.labels)}) "
        parameter = f"{self.text(node.param)}, " if node.param is not None else ""
        return f"{node.op}{grouping}({parameter}{self.text(node.expr)})"

    def _call(self, node: promql.Call) -> str:
        if node.func.name == "info":  # it selects series by itself, without any selector that could be confined
            raise ConfinementError("info() reads series of all namespaces: join with a metric by * on (...) instead")
        return f"{node.func.name}({', '.join(self.text(argument) for argument in node.args)})"

    def _subquery(self, node: promql.SubqueryExpr) -> str:
        step = promql_text.duration(node.step) if node.step is not None else ""
        assert node.range is not None
        return f"{self.text(node.expr)}[{promql_text.duration(node.range)}:{step}]{_moved(node)}"

    def _selector(self, node: promql.VectorSelector) -> str:
        if node.matchers.or_matchers:
            raise ConfinementError('a selector holds "or", which Prometheus does not have')
        parsed = node.matchers.matchers
        written = [Matching(each.op, self._string(each.name), self._string(each.value)) for each in parsed]
        if node.name is not None:
            written.insert(0, Matching(MatchOp.Equal, "__name__", node.name))
        return promql_text.selector([*written, *self._added(written)])

    def _added(self, written: list[Matching]) -> list[Matching]:
        """The matcher that confines a selector with these; none if it says itself that it is about the namespace."""
        equal = {matcher.name: matcher.value for matcher in written if matcher.operator == MatchOp.Equal}
        if equal.get("exported_namespace") == self._namespace:  # what an exporter says of a namespace that it watches
            return []
        if (named := equal.get("namespace", self._namespace)) != self._namespace:
            hint = f"queries of this object see {self._namespace!r} only; leave the label out"
            raise ConfinementError(f"a selector names the namespace {named!r}: {hint}")
        for prefix, (label, pattern) in _OF_GATEWAYS.items():
            if equal.get("__name__", "").startswith(prefix):
                return [Matching(MatchOp.Re, label, pattern.format(self._namespace))]
        return [Matching(MatchOp.Equal, "namespace", self._namespace)]

    def _modifier(self, modifier: promql.BinModifier | None) -> str:
        if modifier is None:
            return ""
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise ConfinementError("fill() is not supported: write `or vector(0)` instead")
        words = [" bool"] if modifier.return_bool else []
        if modifier.matching is not None:
            name = "on" if modifier.matching.type == LabelModifierType.Include else "ignoring"
            words.append(f" {name} ({self._labels(modifier.matching.labels)})")
        sides = ((VectorMatchCardinality.ManyToOne, "group_left"), (VectorMatchCardinality.OneToMany, "group_right"))
        for side in [word for kind, word in sides if kind == modifier.card]:
            words.append(f" {side} ({self._labels(modifier.group_labels or [])})")
        return "".join(words)

    def _labels(self, names: Iterable[str]) -> str:
        return promql_text.labels(map(self._string, names))

    def _string(self, text: str) -> str:
        """What was written where the parser has read `text`."""
        place = promql_text.hidden_at(text)
        return text if place is None else self._strings[place]


def _moved(node: promql.VectorSelector | promql.SubqueryExpr) -> str:
    """The modifiers that move a selector in time."""
    at, offset = "", ""
    if node.at is not None:
        ends = ((AtModifierType.Start, "start()"), (AtModifierType.End, "end()"))
        named = next((text for kind, text in ends if kind == node.at.type), "")
        at = f" @ {named or promql_text.moment(node.at.at)}"
    if node.offset is not None:
        offset = f" offset {promql_text.duration(node.offset)}"
    return at + offset
