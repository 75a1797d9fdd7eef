"""What the queries of objectives become before they are sent: PromQL of one revision, and of one namespace."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_operator.analysis import queries
from sluice_operator.analysis.confinement import ConfinementError, confined
from sluice_operator.api import urls
from sluice_operator.api.observation import Refusal
from sluice_operator.api.spec import Objective, Prometheus, Query

_SOME_REVISION = "k3v5q7ahxm"  # any name that a revision can have


@dataclass(frozen=True, slots=True)
class UserQueries:
    """`unconfined`: patterns of the namespaces whose queries may read everything, by the administrator's setting.

    A Prometheus that the object itself names is asked with the object's own credentials, and so without limits.
    """

    unconfined: tuple[str, ...] = ()

    def promql(self, query: Query, key: tuple[str, str], revision: str, server: Prometheus | None) -> str:
        """The PromQL of one revision of the object `key`. Raises ConfinementError."""
        text = queries.rendered(query, *key, revision)
        free = server is not None or urls.admits(self.unconfined, key[0])
        return text if free else confined(text, key[0])

    def refusal(
        self, objectives: Sequence[Objective], key: tuple[str, str], server: Prometheus | None
    ) -> Refusal | None:
        """Why a query of these may not be sent; None if all may."""
        for objective in objectives:
            if objective.query is not None:
                try:
                    self.promql(objective.query, key, _SOME_REVISION, server)
                except ConfinementError as error:
                    return Refusal("QueryNotAllowed", f"the query of objective {objective.name!r} is not sent: {error}")
        return None
