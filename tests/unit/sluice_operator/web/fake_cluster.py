"""An API server in memory that knows tokens and rights, and the page in front of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import test_utils

from sluice_operator.http_client import Answer, Request
from sluice_operator.web.cluster import Cluster
from sluice_operator.web.reports import Reports
from sluice_operator.web.server import application
from sluice_operator.web.site import Site
from tests.unit.sluice_operator.build import NOW

URL = "https://kubernetes.default.svc"
EVERYWHERE = ""
_PATH = re.compile(r"(?:/api/v1|/apis/sluice\.dev/v1alpha1)(?:/namespaces/([^/]+))?/(\w+)(?:/([^/?]+))?(?:\?.*)?")


@dataclass
class FakeCluster:
    """`may`: the namespaces that each token may read; EVERYWHERE is all of them. `named`: who has another name than
    the first word of their token. `asked`: each request. `page`: objects of one part of a list.
    """

    bodies: list[dict[str, Any]] = field(default_factory=list)
    may: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"jane-token": (EVERYWHERE,)})
    asked: list[Request] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    page: int = 1000

    async def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if token not in self.may:
            return _answer(401, message="Unauthorized")
        if request.url.endswith("/selfsubjectreviews"):
            return _answer(201, status={"userInfo": {"username": self.named.get(token, token.removesuffix("-token"))}})
        found = _PATH.fullmatch(request.url.removeprefix(URL))
        assert found
        namespace, kind, name = found.groups()
        if not {EVERYWHERE, namespace or EVERYWHERE} & set(self.may[token]):
            return _answer(403, message=f"{kind} is forbidden: no right in {namespace or 'all namespaces'}")
        answer = self._read(request, namespace, "ConfigMap" if kind == "configmaps" else "ModelDeployment", name)
        return answer if len(answer.body or b"") <= request.max_bytes else replace(answer, body=None)

    def _read(self, request: Request, namespace: str | None, kind: str, name: str | None) -> Answer:
        here = [
            each for each in self.bodies if each["kind"] == kind and namespace in (None, each["metadata"]["namespace"])
        ]
        if name:
            one = next((each for each in here if each["metadata"]["name"] == name), None)
            return _answer(200, **one) if one else _answer(404, message=f"{kind} {name} not found")
        after = re.search(r"continue=(\d+)", request.url)
        begin = int(after[1]) if after else 0
        asked = re.search(r"limit=(\d+)", request.url)
        end = begin + min(self.page, int(asked[1]) if asked else self.page)
        rest = str(end) if end < len(here) else ""
        return _answer(200, items=here[begin:end], metadata={"continue": rest})


def _answer(code: int, /, **content: Any) -> Answer:
    return Answer(code, {}, "", json.dumps(content).encode())


@asynccontextmanager
async def browser(cluster: FakeCluster, *namespaces: str) -> AsyncIterator[test_utils.TestClient[Any, Any]]:
    """A client of the page, without cookies between its requests and without redirects."""
    site = Site(Cluster(cluster, URL), Reports(), namespaces, lambda: NOW)
    async with test_utils.TestClient(test_utils.TestServer(application(site))) as client:
        yield client
