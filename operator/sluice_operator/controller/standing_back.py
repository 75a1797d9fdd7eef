"""Works on the objects of namespaces that this operator has a claim to.

Those of another operator get an Event that names it. Nothing else is written there, because the status is its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sluice_operator.api import names
from sluice_operator.api.owner import Key
from sluice_operator.controller.events import Event, EventPublisher
from sluice_operator.controller.scheduling.workqueue import Work
from sluice_operator.kubernetes.claims import Claims, two_operators
from sluice_operator.kubernetes.port import Reads


@dataclass(frozen=True, slots=True)
class StandingBack:
    """`work` of the queue, for objects in namespaces of `claims`. `forget`: is called with the names of all others.

    `publisher`: may post where this operator has no claim.
    """

    work: Work
    claims: Claims
    reads: Reads
    publisher: EventPublisher
    forget: Callable[[str, str], None]
    told: dict[Key, str] = field(default_factory=dict)  # who else has the object, where an Event says so

    async def __call__(self, namespace: str, name: str) -> float | None:
        key = namespace, name
        if namespace in self.claims:
            self.told.pop(key, None)
            return await self.work(namespace, name)
        self.claims.want(namespace)
        self.forget(namespace, name)
        other = self.claims.refused_by(namespace)
        if other and self.told.get(key) != other:
            self.told[key] = other
            await self._tell(key, other)
        return None

    async def _tell(self, key: Key, other: str) -> None:
        body = await self.reads.get(names.KIND, *key)
        if body is not None:
            note = f"the operator with the Lease {self.claims.identity} does nothing here. {two_operators(other)}"
            await self.publisher.post(body, iter([Event("OtherOperator", note, warning=True)]))
