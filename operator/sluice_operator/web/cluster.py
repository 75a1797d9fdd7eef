"""What is read from the API server, always with the token of the viewer.

The server authenticates the viewer and checks the right for each read. So there is no check here that could be wrong,
and the audit log has the viewer's name.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from sluice_operator.api import foreign_json, names
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.owner import Manifest
from sluice_operator.http_client import Http, HttpError, Request
from sluice_operator.web.answers import Model, ModelList, Record, Refusal, Review
from sluice_operator.web.pages.fleet import Models

Kind = TypeVar("Kind")

PAGE = 250  # ModelDeployments
_SECONDS = 10.0  # of one read
_MAX_BYTES = 4 * 1024 * 1024  # of an answer: that many objects in a rollout have about 1.5 MB, and the largest one has
_FEWER = 5  # times as few objects, where the answer is larger than that
_MODELS = f"/apis/{names.GROUP}/{names.VERSION}"
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class NotSignedInError(Exception):
    """The API server does not accept the token."""


class NotAllowedError(Exception):
    """RBAC does not allow the viewer this read. The message is the API server's."""


class NotThereError(Exception):
    """There is no such object."""


class NoAnswerError(Exception):
    """The API server gave no answer that could be used."""


class TooLargeError(NoAnswerError):
    """The answer has more than _MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server at `url`, without a slash at its end. Without `trust`, the system's authorities vouch for it."""

    http: Http
    url: str
    trust: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person with a token. All reads raise the errors of this module."""

    cluster: Cluster
    token: str = field(repr=False)

    async def name(self) -> str:
        """What the API server calls the viewer; empty if it does not say, as before Kubernetes 1.28."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = await self._ask(Review, "POST", _REVIEW, msgspec.json.encode(review))
        except (NotThereError, NotAllowedError):
            return ""
        return answer.status.user.username

    async def models(self, namespace: str = "", after: str = "") -> Models:
        """The ModelDeployments of a namespace, or of all namespaces, in their order by name, from `after` on.

        Large ones come fewer at a time, one by one in the end: the API server takes none that is larger than an answer.
        """
        path = f"{_MODELS}/namespaces/{_part(namespace)}" if namespace else _MODELS
        limit = PAGE
        while True:
            query = {"limit": str(limit), **({"continue": after} if after else {})}
            try:
                answer = await self._ask(ModelList, "GET", f"{path}/{names.PLURAL}?{urlencode(query)}")
            except TooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // _FEWER)
                continue
            return Models(tuple(item.plain() for item in answer.items), answer.metadata.begins)

    async def model(self, namespace: str, name: str) -> Manifest:
        """One ModelDeployment."""
        path = f"{_MODELS}/namespaces/{_part(namespace)}/{names.PLURAL}/{_part(name)}"
        return (await self._ask(Model, "GET", path)).plain()

    async def record(self, namespace: str, name: str, record: str) -> Record:
        """The ConfigMap of a run record of the ModelDeployment `name`. Any other ConfigMap is not there."""
        found = await self._ask(Record, "GET", f"/api/v1/namespaces/{_part(namespace)}/configmaps/{_part(record)}")
        labels = found.metadata.labels
        if labels.record != names.RUN_RECORD or labels.owner != name:
            raise NotThereError(f"the ConfigMap {record} is not a run record of {name}")
        return found

    async def _ask(self, kind: type[Kind], method: str, path: str, content: bytes = b"") -> Kind:
        request = Request(
            method,
            f"{self.cluster.url}{path}",
            patience=_SECONDS,
            deadline=asyncio.get_running_loop().time() + _SECONDS,
            headers=self._headers(),
            content=content,
            max_bytes=_MAX_BYTES,
            trust=self.cluster.trust,
        )
        try:
            answer = await self.cluster.http.ask(request)
        except HttpError as error:
            raise NoAnswerError(f"the API server gives no answer: {error}") from error
        return _read(answer.status, answer.body, kind)

    def _headers(self) -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }


def _read(status: int, body: bytes | None, kind: type[Kind]) -> Kind:
    if status == 401:
        raise NotSignedInError
    if body is None:
        raise TooLargeError(f"the API server answers with more than {_MAX_BYTES // 1024**2} MiB")
    try:
        if status in (200, 201):
            return _decoded(body, kind)
        message = in_one_line(_decoded(body, Refusal).message, 500)
    except ValueError as error:
        raise NoAnswerError(f"the API server answers HTTP {status}, and not with what was asked for") from error
    match status:
        case 403:
            raise NotAllowedError(message)
        case 404:
            raise NotThereError(message)
        case 410:
            raise NotThereError("this part of the list is no longer there: begin at its first page")
    raise NoAnswerError(f"the API server answers HTTP {status}: {message}")


def _decoded(body: bytes, kind: type[Kind]) -> Kind:
    decoded: Kind = foreign_json.decoded(body, kind)
    return decoded


def _part(name: str) -> str:
    return quote(name, safe="")
