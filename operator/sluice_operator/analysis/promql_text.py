"""The smallest parts of PromQL as text: numbers, strings, durations, labels. Pure."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from promql_parser import MatchOp

_OPERATORS = ((MatchOp.Equal, "="), (MatchOp.NotEqual, "!="), (MatchOp.Re, "=~"), (MatchOp.NotRe, "!~"))
_PARTS = re.compile(r"[-+*/%^(){}\[\],<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_STRING = re.compile(  # or a comment. An unclosed one is found, too, so that a search goes over the text only once
    r"""  "(?:[^"\\\n]|\\.)*+  (?:"|(?P<unclosed>))
        | '(?:[^'\\\n]|\\.)*+  (?:'|(?P<open>))
        | `[^`]*`  |  \#[^\n]*  """,
    re.VERBOSE,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_HIDDEN = re.compile(r"#([0-9]+)")


@dataclass(frozen=True, slots=True)
class Matching:
    """One matcher of a selector. The parser's own type compiles a regex as soon as it is made."""

    operator: MatchOp
    name: str
    value: str


def hidden(query: str) -> tuple[str, list[str]]:
    """A query that is not unbalanced, with a short word in place of each string, and the strings as they were written.

    The parser compiles each regex that it finds, which takes a second and 50 MB for a few characters. So it sees none.
    """
    literals = list[str]()

    def hide(found: re.Match[str]) -> str:
        if found[0].startswith("#"):
            return " "
        literals.append(found[0])
        return f'"#{len(literals) - 1}"'

    return _STRING.sub(hide, query), literals


def hidden_at(text: str) -> int | None:
    """Which of the hidden strings the parser read here; None for a name that was not written as a string."""
    found = _HIDDEN.fullmatch(text)
    return int(found[1]) if found else None


def parts(query: str) -> int:
    """How many operators, brackets and commas a query without strings has, as a cheap bound for its depth."""
    return len(_PARTS.findall(query))


def unbalanced(query: str) -> str:
    """Where a bracket or a quote has no partner, for people; empty if each has one."""

    def blanked(found: re.Match[str]) -> str:
        return found[0] if found.lastgroup else " " * len(found[0])  # brackets in strings and comments do not count

    blank = _STRING.sub(blanked, query)
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


def selector(matchers: Iterable[Matching]) -> str:
    return "{" + ", ".join(map(_matcher, matchers)) + "}"


def _matcher(matcher: Matching) -> str:
    operator = next(text for kind, text in _OPERATORS if kind == matcher.operator)
    return f"{labels([matcher.name])}{operator}{quoted(matcher.value)}"


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
