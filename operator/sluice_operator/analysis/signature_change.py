"""What callers of one model would notice if another one answered them: what is refused, or read wrongly. Pure.

A caller may send rows with names or without, so both the names and the order of the columns count. A change that no
caller can notice is none: a column that may be left out, at the end; a number where a whole number was sent before.
"""

from collections.abc import Iterator, Sequence

from sluice_operator.api.observation import Signatures
from sluice_operator.api.run import SignatureCheck
from sluice_operator.api.signature import Column, Predictions, Signature
from sluice_operator.api.status import SIGNATURE_CHANGED

# What a value of one type may be read as: each pair is (the type before, the type now).
_ACCEPTED_INPUTS = {("integer", "number")}  # 3 is a number, but 2.9 is no whole number
_ACCEPTED_OUTPUTS = {("number", "integer")}  # who reads numbers can read 3
_NAMED = 5  # most names in one sentence
_MOST_CHANGES = 6  # in one message


def checked(seen: Signatures | None, stable: str) -> SignatureCheck | None:
    """What comparing the two signatures showed; None before they were read. `stable`: the URI of its model."""
    if seen is None:
        return None
    if seen.stable is None or seen.canary is None:
        server = "its" if seen.stable is None else "the canary's"
        message = f"not compared with {stable}: {server} model server does not report its columns at /metadata"
        return SignatureCheck("NotReported", message)
    found = changes(seen.stable, seen.canary)
    if not found:
        return SignatureCheck("Unchanged", f"takes and answers what {stable} does")
    more = f" and {len(found) - _MOST_CHANGES} more changes" if len(found) > _MOST_CHANGES else ""
    return SignatureCheck(SIGNATURE_CHANGED, "; ".join(found[:_MOST_CHANGES]) + more)


def changes(before: Signature, now: Signature) -> tuple[str, ...]:
    """What callers of `before` would notice, as parts of a sentence; empty if they would notice nothing."""
    inputs = tuple(_columns(before.columns, now.columns))
    return (*(inputs or _order(before.columns, now.columns)), *_predictions(before.predictions, now.predictions))


def _columns(before: Sequence[Column], now: Sequence[Column]) -> Iterator[str]:
    old, new = ({column.name: column for column in columns} for columns in (before, now))
    renamed = dict(_renamed(before, now))
    for name, called in renamed.items():
        yield f"column {name!r} is called {called!r}"
    if added := [name for name, column in new.items() if name not in old and column.required]:
        yield from _listed("needs the new column", [name for name in added if name not in renamed.values()])
    yield from _listed("has no column", [name for name in old if name not in new and name not in renamed], "any more")
    for name in (name for name in old if name in new):
        types = old[name].type, new[name].type
        if types[0] != types[1] and types not in _ACCEPTED_INPUTS:
            yield f"column {name!r} is {types[1]} instead of {types[0]}"
        if new[name].required and not old[name].required:
            yield f"column {name!r} may not be left out any more"


def _renamed(before: Sequence[Column], now: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Columns of the same place and type, of which only the name is another."""
    if len(before) != len(now):
        return
    old_names, new_names = ({column.name for column in columns} for columns in (before, now))
    for old, new in zip(before, now, strict=True):
        if old.type == new.type and old.name not in new_names and new.name not in old_names:
            yield old.name, new.name


def _order(before: Sequence[Column], now: Sequence[Column]) -> Iterator[str]:
    """Rows without names are read by place: another order is not refused, and gives wrong predictions."""
    expected = [column.name for column in before]
    found = [column.name for column in now][: len(expected)]
    if found != expected:
        yield f"takes the columns in another order: {_names(found)}"


def _predictions(before: Predictions, now: Predictions) -> Iterator[str]:
    types = before.type, now.type
    if types[0] != types[1] and types not in _ACCEPTED_OUTPUTS:
        yield f"predictions are {types[1]} instead of {types[0]}"
    if before.values != now.values:
        yield f"a prediction has {now.values} values instead of {before.values}"
    if before.probabilities and not now.probabilities:
        yield "there are no probabilities any more"
    if before.classes is not None and now.classes is not None and before.classes != now.classes:
        yield f"the classes are {_names(now.classes)} instead of {_names(before.classes)}"


def _listed(words: str, names: Sequence[str], after: str = "") -> Iterator[str]:
    if names:
        yield " ".join(filter(None, (words if len(names) == 1 else f"{words}s", _names(names), after)))


def _names(names: Sequence[object]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
