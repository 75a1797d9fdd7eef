"""How the shares, limits and e-values of an objective are written for people. Pure."""

import math

from sluice_operator.analysis import criteria
from sluice_operator.api.spec import Objective

STRONG = 20.0  # e-value from which a sentence mentions that stable is worse than its past, or that a limit is broken


def shown(objective: Objective, share: tuple[int, int]) -> str:
    """A share (bad, counted) in the measure of the objective, such as 1%; empty if nothing was counted."""
    bad, counted = share
    return "" if counted == 0 else measure(objective, bad / counted)


def limit(objective: Objective) -> str:
    """What the objective is compared with."""
    parts = [own_limit(objective)]
    if (ratio := criteria.max_ratio(objective)) is not None:
        parts.append(f"less than {ratio} times stable's")
        if criteria.limit(objective) is None:
            parts.append(f"or less than {percent(criteria.tolerance(objective))}")
    if (drop := criteria.max_drop(objective)) is not None:
        parts.append(f"less than {drop} below stable's")
    return ", ".join(filter(None, parts))


def evidence(against: tuple[float, float], in_favour: tuple[float, float] | None) -> str:
    """Pairs of a log e-value and the threshold that it must reach, shown as e-values."""
    parts = [f"against {_evalue_of(*against)}"]
    if in_favour is not None:
        parts.append(f"for {_evalue_of(*in_favour)}")
    return ", ".join(parts)


def own_limit(objective: Objective) -> str:
    """The limit that does not depend on stable; empty if there is none."""
    if objective.error_rate is not None:
        most = objective.error_rate.max
        return "" if most is None else f"at most {most} errors"
    if objective.latency is not None:
        bound, share = criteria.bound_of(objective), f"{1 - objective.latency.quantile:.1%}"
        if bound is None:
            return f"stable's own quantile {objective.latency.quantile} is not known"
        slower = f"slower than {bound * 1000:g}ms"
        return f"at most {share} {slower}" if objective.latency.max is not None else slower
    if objective.refusals is not None:
        return ""
    assert objective.accuracy is not None
    least = objective.accuracy.min
    return "" if least is None else f"at least {least}"


def counted_as_bad(objective: Objective, bound: float | None = None) -> str:
    """What a share is the share of, where the name of the objective leaves it open. `bound`: seconds."""
    if objective.refusals is not None:
        return " with status 4xx"
    return "" if bound is None else f" slower than {bound * 1000:g}ms"


def unit(objective: Objective) -> str:
    return "labels" if objective.accuracy is not None else "requests"


def measure(objective: Objective, share: float) -> str:
    return f"{1 - share:.3f}" if objective.accuracy is not None else percent(share)


def percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _evalue_of(log_evalue: float, threshold: float) -> str:
    return f"{_evalue(log_evalue)} of {_evalue(threshold)}"


def _evalue(log: float) -> str:
    return f"{math.exp(min(log, 200.0)):.3g}"


def span(seconds: float) -> str:
    """A time in few digits: a long one would else be another one in each look, and a write of the status."""
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{math.ceil(seconds)}s"
    return f"{minutes}m" if minutes < 120 else f"{minutes / 60:.1f}h"
