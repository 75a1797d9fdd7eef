"""Works on the objects of this operator's namespaces only, and forgets those of a namespace that another one has."""

from collections.abc import Callable, Container
from dataclasses import dataclass

from sluice_operator.controller.scheduling.workqueue import Work


@dataclass(frozen=True, slots=True)
class OwnNamespaces:
    """`work` of the queue, for objects in `namespaces`. `forget`: is called with the names of all others."""

    work: Work
    namespaces: Container[str]
    forget: Callable[[str, str], None]

    async def __call__(self, namespace: str, name: str) -> float | None:
        if namespace in self.namespaces:
            return await self.work(namespace, name)
        self.forget(namespace, name)
        return None
