"""Which ModelDeployment had a host first. Two with the same host would get a share of each other's requests.

All objects are listed once, and then the watch keeps the list up to date. So a reconcile of one object does not read
all others.
"""

from dataclasses import dataclass

from sluice_operator.api import names, spec
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Kube

_Key = tuple[str, str]  # namespace and name of a ModelDeployment


@dataclass(frozen=True, slots=True)
class _Claim:
    host: str
    since: tuple[str, str]  # time of creation, and the uid for those that were created in the same second

    @classmethod
    def of(cls, body: Manifest) -> "_Claim":
        metadata = body["metadata"]
        return cls(spec.host(body["spec"]), (metadata["creationTimestamp"], metadata["uid"]))


class HostClaims:
    """The hosts that all ModelDeployments ask for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._claims: dict[_Key, _Claim] = {}
        self._listed = False

    def see(self, body: Manifest) -> None:
        """Note the host of an object as it is now."""
        self._claims[body["metadata"]["namespace"], body["metadata"]["name"]] = _Claim.of(body)

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that was deleted."""
        self._claims.pop((namespace, name), None)

    async def older(self, body: Manifest) -> str:
        """`namespace/name` of the oldest object with the host of `body`, if that is another one; else empty.

        That object is read again before it is named, because the watch may have missed a change of it.
        """
        if not self._listed:
            for listed in await self._kube.find(names.KIND, "", {}):
                self.see(listed)
            self._listed = True
        while (oldest := self._oldest_before(_Claim.of(body))) is not None:
            claim, live = self._claims[oldest], await self._kube.get(names.KIND, *oldest)
            if live is None:
                self.forget(*oldest)
                continue
            self.see(live)
            if self._claims[oldest] == claim:
                return "/".join(oldest)
        return ""

    def _oldest_before(self, mine: _Claim) -> _Key | None:
        older = [key for key, claim in self._claims.items() if claim.host == mine.host and claim.since < mine.since]
        return min(older, key=lambda key: self._claims[key].since, default=None)
