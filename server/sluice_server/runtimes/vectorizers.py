"""What a vectorizer of text may do with it.

A text is a text, and no name of a file, which the vectorizer would open. And it must not be cut into tokens by any
pattern: Python's regular expressions can take hours for a short text. While they do, nothing else of the process runs,
health checks neither. So a pattern from a file has to be one of a simple form, whose time grows with the text and no
faster: `a`, `ab+`, `\\b[a-z]+\\b`, or several of these with `|`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.port import ModelError

_TEXT = "content"  # what `input` of a vectorizer is
_LONGEST = 200  # characters of a pattern
_FEW = 20  # of a repetition's minimum, and of words or characters that are put together
_ONE = frozenset({_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY})  # a single character
_WORD = ((_constants.CATEGORY, _constants.CATEGORY_WORD),)
_BOUNDARY = (_constants.AT, _constants.AT_BOUNDARY)
_OF_WORDS = (_constants.CATEGORY_WORD, _constants.CATEGORY_DIGIT)


def check(root: Any) -> None:
    """Raise ModelError for the first vectorizer of an estimator that opens files, or whose time may grow too fast."""
    for part in parts(root):
        if hasattr(part, "token_pattern") and (source := getattr(part, "input", _TEXT)) != _TEXT:
            raise ModelError(
                f"a {type(part).__name__} takes a caller's text for the name of a file, and would open it "
                f"(input={source!r}): train it with the texts themselves, input={_TEXT!r}"
            )
        pattern = getattr(part, "token_pattern", None)
        if isinstance(pattern, str) and not is_linear(pattern):
            raise ModelError(
                f"the token_pattern {pattern[:50]!r} of a {type(part).__name__} may take Python minutes for one text: "
                r"train with a simple one, such as the default r'(?u)\b\w\w+\b', r'\w+' or r'\b[a-z]+\b'; or set "
                "trust: Code, if the administrator allows it"
            )
        if isinstance(pattern, str) and max(part.ngram_range) > _FEW:
            raise ModelError(f"a {type(part).__name__} puts more than {_FEW} tokens together: train it with fewer")


def is_linear(pattern: str) -> bool:
    """Whether finding all matches of a pattern takes a time that grows with the text and no faster, as far as is clear.

    A repetition is the last character of a match. If the end of a word follows, it is one of all characters of words,
    or begins where a word does: of each word there is one, and it is walked once.
    """
    if len(pattern) > _LONGEST:
        return False
    try:
        found = _parser.parse(pattern)
    except (re.error, ValueError, RecursionError, OverflowError):
        return False
    if found.state.flags & re.ASCII:  # by which other characters are of words
        return False
    parsed = list(found)
    if len(parsed) == 1 and parsed[0][0] is _constants.BRANCH:
        return all(_is_simple(_flat(branch)) for branch in parsed[0][1][1])
    return _is_simple(_flat(parsed))


def _flat(parsed: Sequence[Any]) -> list[Any]:
    """What is in groups, in its place."""
    found: list[Any] = []
    for node in parsed:
        kind, value = node
        found.extend(_flat(list(value[3])) if kind is _constants.SUBPATTERN else [node])
    return found


def _is_simple(nodes: list[Any]) -> bool:
    starts, ends = nodes[:1] == [_BOUNDARY], nodes[1:][-1:] == [_BOUNDARY]
    inner = nodes[1 if starts else 0 : -1 if ends else None]
    *fixed, last = inner or [None]
    if last is None or any(kind not in _ONE for kind, _ in fixed):
        return False
    if last[0] in _ONE:
        return True
    if last[0] is not _constants.MAX_REPEAT:
        return False
    least, most, repeated = last[1]
    if least > _FEW or len(repeated) != 1 or repeated[0][0] not in _ONE:
        return False
    return not ends or most <= _FEW or _is_all_of_words(repeated[0], most) or (starts and _is_of_words(repeated[0]))


def _is_all_of_words(node: Any, most: Any) -> bool:
    return most is _constants.MAXREPEAT and node[0] is _constants.IN and tuple(node[1]) == _WORD


def _is_of_words(node: Any) -> bool:
    """Whether a character is one of a word whatever it is."""
    kind, value = node
    if kind is _constants.LITERAL:
        return chr(value).isalnum()
    return kind is _constants.IN and all(_is_part_of_words(*each) for each in value)


def _is_part_of_words(kind: Any, value: Any) -> bool:
    if kind is _constants.CATEGORY:
        return value in _OF_WORDS
    if kind is _constants.RANGE:
        return all(chr(each).isalnum() for each in range(value[0], value[1] + 1))
    return kind is _constants.LITERAL and (chr(value).isalnum() or chr(value) == "_")
