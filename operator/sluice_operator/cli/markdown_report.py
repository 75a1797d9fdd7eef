"""A rollout as Markdown, for a comment on a pull request or the summary of a workflow. Pure.

Names and messages are chosen by whoever may write models and objects. So they are shown as text: no link, no picture,
no HTML and no mention of a person can come of them.
"""

from collections.abc import Iterator, Sequence

from sluice_operator.api.status import HistoryEntry, Status, Verdict
from sluice_operator.cli.ending import Ending
from sluice_operator.cli.text_table import plain, span

_NO_BREAK = "&#8203;"  # a space without width: what GitHub looks for after it has made HTML is not there
_ESCAPES = str.maketrans(
    {mark: f"&#{ord(mark)};" for mark in "&<>\\`*_{}[]|~:"} | {mark: mark + _NO_BREAK for mark in "@#"}
)
_LONGEST = 2_000  # characters of one text
_HEADING = ("objective", "result", "canary", "stable", "limit", "requests")


def page(name: str, namespace: str, status: Status, ending: Ending, verdict: Verdict | None) -> str:
    """The report. `name`: of the object, in `namespace`. `verdict`: the last one of the run; None without one."""
    return "\n".join(_lines(name, namespace, status, ending, verdict)) + "\n"


def text(words: str) -> str:
    """Words of whomever, as GitHub shows them as they are."""
    return plain(words[:_LONGEST]).translate(_ESCAPES).replace("www.", f"www{_NO_BREAK}.")


def _lines(name: str, namespace: str, status: Status, ending: Ending, verdict: Verdict | None) -> Iterator[str]:
    yield f"### {'✅' if ending.serves else '❌'} {text(name)}: {text(ending.title)}"
    yield ""
    yield text(ending.message or status.message)
    if verdict is not None:
        yield from _verdict(verdict)
    if status.history:
        yield from _history(name, namespace, status.history[0])


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield from ("", f"Last verdict: **{verdict.result}** ({text(verdict.reason)}). {text(verdict.message)}", "")
    if not verdict.objectives:
        return
    yield from _row(_HEADING)
    yield from _row(["---"] * len(_HEADING))
    for objective in verdict.objectives:
        numbers = (objective.canary, objective.stable, objective.limit, f"{objective.requests:,}")
        yield from _row([text(cell) for cell in (objective.name, str(objective.result), *numbers)])


def _row(cells: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _history(name: str, namespace: str, entry: HistoryEntry) -> Iterator[str]:
    took = span((entry.ended_at - entry.started_at).total_seconds())
    yield ""
    yield f"The newest run: {text(entry.model)}, {entry.outcome} ({text(entry.reason)}) after {took}."
    if entry.record:
        replay = f"kubectl sluice replay {text(name)} -n {text(namespace)} --run {text(entry.record)}"
        yield f"Its counts: <code>{replay}</code>"
    for taken in entry.commands:
        yield f"- {text(taken.id)} by {text(taken.by or 'somebody')}: {taken.answer}"
