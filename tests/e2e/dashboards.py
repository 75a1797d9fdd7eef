"""The queries of the dashboards, asked of the cluster's Prometheus after rollouts.

`MAY_BE_EMPTY` names the few that have nothing to find here, with the reason; all others must find something.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from tests.dashboard_queries import Asked, asked, found

NO_STORE = "this cluster has no store"
NO_ERRORS = "no request failed"
NOBODY_WAITS = "nothing is stalled or paused"
OF_CLASSES = "iris predicts classes"
FEW_ROWS = "a drift score needs 1,000 rows of one revision"
MAY_BE_EMPTY = {
    "sluice-operator: Requests to the store A": NO_STORE,
    "sluice-operator: How long its answers take A": NO_STORE,
    "sluice-operator: Labels A": NO_STORE,
    "sluice-operator: What it keeps A": NO_STORE,
    "sluice-operator: What it keeps B": NO_STORE,
    "sluice-operator: How requests failed A": NO_ERRORS,
    "sluice-model: Answers other than 200 A": NO_ERRORS,
    "sluice-model: Answers other than 200 B": NO_ERRORS,
    "sluice-fleet: Waiting for a person A": NOBODY_WAITS,
    "sluice-fleet: What waits for a person A": NOBODY_WAITS,
    "sluice-model: Waits for a person A": NOBODY_WAITS,
    "sluice-model: Waits for a person B": NOBODY_WAITS,
    "sluice-model: Drift by feature A": FEW_ROWS,
    "sluice-model: Bins that have moved most A": FEW_ROWS,
    "sluice-model: Drift of predictions A": "it needs 1,000 rows of a day, and of the week before",
    "sluice-kpis: Success metrics by model E": FEW_ROWS,
    "sluice-kpis: Worst drift A": FEW_ROWS,
    "sluice-kpis: Success metrics by model G": OF_CLASSES,
    "sluice-model: Mean error of numbers A": OF_CLASSES,
}


def to_ask() -> list[Asked]:
    """The queries that must find something."""
    queries = list(asked())
    assert MAY_BE_EMPTY.keys() <= {query.where for query in queries}, "a panel has another title now"
    return [query for query in queries if query.where not in MAY_BE_EMPTY]


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks Prometheus about the time from `since` (Unix time) until now, as a dashboard of one object does."""

    prometheus: str
    since: float
    namespace: str
    name: str

    async def empty(self, queries: Iterable[Asked]) -> list[Asked]:
        """Those of the queries that find nothing at any moment of this time. Raises ValueError if one is refused."""
        values = {"namespace": self.namespace, "model_deployment": self.name, "__rate_interval": "30s"}
        times: dict[str, str | float] = {"start": self.since, "end": time.time(), "step": "2s"}
        nothing = []
        async with httpx.AsyncClient(base_url=self.prometheus, timeout=30.0, trust_env=False) as client:
            for query in queries:
                answer = await client.get("/api/v1/query_range", params={"query": query.sent(values), **times})
                if answer.is_error:
                    raise ValueError(f"Prometheus refuses {query.where}: {answer.text}")
                if not found(answer.json()):
                    nothing.append(query)
        return nothing

    async def rules(self) -> dict[str, str]:
        """The health of each rule that Prometheus has loaded, by its name: `ok` after its first evaluation."""
        async with httpx.AsyncClient(base_url=self.prometheus, timeout=30.0, trust_env=False) as client:
            groups = (await client.get("/api/v1/rules")).json()["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
