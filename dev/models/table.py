"""The table of models as a page of Markdown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dev.models.case import Case
from dev.models.serving import TRUST, Refused, Served

_DIALECTS = ("plain", "MLflow", "Open Inference")
_INTRODUCTION = """# Models

Which models are served. `make models` writes this page: each model is trained, saved as MLflow saves it, fetched from a
real MLflow server, served by a process, and asked for the same 40 rows in [three dialects](types.md).

*trust* is the least that the model needs. Under a dialect stands the largest difference from the model's own
predictions, relative where these are larger than 1; of labels, how many differ. *ready* is the time from the start of
the process, *memory* what it has after the requests; both on a machine that does other things, too.
"""


@dataclass(frozen=True)
class Row:
    """How a case ended; `trust` is empty if it is refused whatever is trusted."""

    case: Case
    trust: str
    outcome: Served | Refused

    @property
    def line(self) -> str:
        """The row of the table."""
        match self.outcome:
            case Served(runtime, differences, ready, memory):
                answers = [differences[dialect] for dialect in _DIALECTS]
                cells = [self.trust, runtime, *answers, f"{ready:.1f} s", f"{memory / 2**20:.0f} MiB"]
            case Refused(reason, message):
                cells = ["refused", f"{reason}: {message}", *[""] * 5]
        return "| " + " | ".join([self.case.name, *(cell.replace("|", "\\|") for cell in cells)]) + " |"


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    parts = [_INTRODUCTION, _shares(rows)]
    for group, members in groupby(rows, key=lambda row: row.case.group):
        heading = "| model | trust | runtime | " + " | ".join(_DIALECTS) + " | ready | memory |"
        parts.append("\n".join([f"## {group}\n", heading, "| --- " * 8 + "|", *(row.line for row in members)]) + "\n")
    return "\n".join(parts)


def _shares(rows: Sequence[Row]) -> str:
    """How many are served with each trust, and everything below it."""
    by_trust, served = Counter(row.trust for row in rows), 0
    lines = ["| `trust` | served |", "| --- | --- |"]
    for trust in TRUST:
        served += by_trust[trust]
        lines.append(f"| `{trust}` | {served} of {len(rows)} |")
    return "\n".join(lines) + "\n"
