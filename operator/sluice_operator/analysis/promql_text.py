"""The smallest parts of PromQL as text: numbers, strings, durations, labels. Pure."""

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from promql_parser import Matcher, MatchOp

_OPERATORS = ((MatchOp.Equal, "="), (MatchOp.NotEqual, "!="), (MatchOp.Re, "=~"), (MatchOp.NotRe, "!~"))
_PARTS = re.compile(r"[-+*/%^(){}\[\],<>=!]|\b(?:and|or|unless|atan2)\b")
_STRING = re.compile(r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` | \#[^\n]* """, re.VERBOSE)
_CLOSES = {")": "(", "]": "[", "}": "{"}


def parts(query: str) -> int:
    """How many operators, brackets and commas a query has, as a cheap bound for its depth."""
    return len(_PARTS.findall(query))


def unbalanced(query: str) -> str:
    """Where a bracket or a quote has no partner, for people; empty if each has one."""
    blank = _STRING.sub(lambda found: " " * len(found[0]), query)  # brackets in strings and comments do not count
    opened = list[tuple[str, int]]()
    for position, character in enumerate(blank, 1):
        if character in "\"'`":
            return f"the quote at character {position} is not closed"
        if character in _CLOSES.values():
            opened.append((character, position))
        elif character in _CLOSES:
            if not opened or opened[-1][0] != _CLOSES[character]:
                return f"{character!r} at character {position} closes nothing"
            opened.pop()
    return f"{opened[-1][0]!r} at character {opened[-1][1]} is not closed" if opened else ""


def number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else "Inf" if value > 0 else "-Inf"


def quoted(text: str) -> str:
    """A string literal; everything but plain ASCII is escaped."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def duration(span: timedelta) -> str:
    return f"{span / timedelta(milliseconds=1):.0f}ms"


def moment(at: datetime | None) -> str:
    assert at is not None
    return f"{at.timestamp():.3f}"


def labels(names: Iterable[str]) -> str:
    return ", ".join(name if re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) else quoted(name) for name in names)


def selector(matchers: Iterable[Matcher]) -> str:
    return "{" + ", ".join(map(_matcher, matchers)) + "}"


def _matcher(matcher: Matcher) -> str:
    operator = next(text for kind, text in _OPERATORS if kind == matcher.op)
    return f"{labels([matcher.name])}{operator}{quoted(matcher.value)}"


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
