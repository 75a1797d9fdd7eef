"""Which ModelDeployment had a host first: two that share one would share its requests without knowing of each other.

Listed once, then kept by what the watch sees, so that a look at one object need not read all others.
"""

from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Kube

_Key = tuple[str, str]  # namespace and name of a ModelDeployment


@dataclass(frozen=True, slots=True)
class _Claim:
    host: str
    since: tuple[str, str]  # uids decide within a second

    @classmethod
    def of(cls, body: Manifest) -> "_Claim":
        metadata = body["metadata"]
        return cls(body["spec"]["traffic"]["ingress"]["host"], (metadata["creationTimestamp"], metadata["uid"]))


class HostClaims:
    """The hosts that all ModelDeployments ask for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._claims: dict[_Key, _Claim] = {}
        self._listed = False

    def see(self, body: Manifest) -> None:
        """An object as it is now."""
        self._claims[body["metadata"]["namespace"], body["metadata"]["name"]] = _Claim.of(body)

    def forget(self, namespace: str, name: str) -> None:
        """An object that is gone."""
        self._claims.pop((namespace, name), None)

    async def older(self, body: Manifest) -> str:
        """Namespace and name of the object that had the host of `body` before it; nothing if none had.

        That one is read again: an event that was lost must not keep a host taken.
        """
        if not self._listed:
            for one in await self._kube.find(names.KIND, "", {}):
                self.see(one)
            self._listed = True
        while (first := self._first(_Claim.of(body))) is not None:
            claim, live = self._claims[first], await self._kube.get(names.KIND, *first)
            if live is None:
                self.forget(*first)
                continue
            self.see(live)
            if self._claims[first] == claim:
                return "/".join(first)
        return ""

    def _first(self, mine: _Claim) -> _Key | None:
        older = [key for key, one in self._claims.items() if one.host == mine.host and one.since < mine.since]
        return min(older, key=lambda key: self._claims[key].since, default=None)
