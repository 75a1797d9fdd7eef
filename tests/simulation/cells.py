"""The text of one cell of a table in docs/simulation.md."""

from collections.abc import Callable

import numpy as np

from tests.simulation.figures import floor_requests, medians_until_rollback
from tests.simulation.markdown import count, duration, percent
from tests.simulation.runner import Outcomes
from tests.simulation.scenarios import RATES
from tests.simulation.study import CLEARS_ACCURACY, CLEARS_ERRORS, Cell, Results


def rolled_back(outcomes: Outcomes) -> float:
    return float(outcomes.rolled_back.mean())


def promoted_after(outcomes: Outcomes) -> float:
    return outcomes.median_seconds(outcomes.promoted)


def by_rate(results: Results, policy: str, name: str, share: Callable[[Outcomes], float]) -> str:
    """A share for each of RATES, as percent."""
    return " / ".join(percent(share(results[Cell(policy, name, rate)])) for rate in RATES)


def found(results: Results, policy: str, name: str, rate: float) -> str:
    """Share rolled back, median time and requests until then, and the share promoted; empty if the cell was not run."""
    outcomes = results.get(Cell(policy, name, rate))
    if outcomes is None:
        return ""
    seconds, exposed = medians_until_rollback(outcomes)
    promoted = float(outcomes.promoted.mean())
    texts = [percent(rolled_back(outcomes)), duration(seconds), count(exposed)]
    return " · ".join([*texts, *([f"p {percent(promoted)}"] if promoted else [])])


def ruled_out(results: Results, name: str) -> str:
    """The share of canaries at a margin whose margin is ruled out by its e-value alone, as percent."""
    policy = CLEARS_ERRORS if name.startswith("errors") else CLEARS_ACCURACY
    return percent(float(results[Cell(policy, name, 100)].promoted.mean()))


def over_floor(results: Results, policy: str, name: str) -> str:
    """The median requests until a rollback, as a multiple of the information floor."""
    _, exposed = medians_until_rollback(results[Cell(policy, name, 100)])
    return f"{exposed / floor_requests(name):.1f} x" if np.isfinite(exposed) else "-"
