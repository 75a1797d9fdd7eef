"""What a run is judged by although the spec does not ask for it. Pure.

A model that needs another column refuses all callers, and no other number shows that: there are no errors, and the
answers are fast. So refusals are compared with stable's, unless the spec has an objective for them itself.
"""

from collections.abc import Sequence

from sluice_operator.api.quantities import Ratio
from sluice_operator.api.spec import DefaultObjective, Objective, Refusals

REFUSALS = Refusals(max_ratio=Ratio.parse("2"))


def default_objectives(asked: Sequence[Objective]) -> tuple[DefaultObjective, ...]:
    """The objectives that a run has in addition to those that its spec asks for, under a name that is free."""
    if any(objective.refusals is not None for objective in asked):
        return ()
    taken = {objective.name for objective in asked}
    name = next(name for name in ("refusals", *(f"refusals-{number}" for number in range(2, 99))) if name not in taken)
    return (DefaultObjective(name=name, refusals=REFUSALS),)
