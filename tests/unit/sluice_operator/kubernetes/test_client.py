"""Lists come in pages, and are complete or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.port import NoAnswer
from tests.unit.sluice_operator.api_server import api_server

OBJECTS = 1001
ABOUT = {"namespace": "models", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-03-01T12:00:00Z"}


class Pages:
    """Answers with at most as many ModelDeployments as are asked for. `forgets_after`: this many pages."""

    def __init__(self, forgets_after: int = 1000, objects: int = OBJECTS, spec: Any = None) -> None:
        self.sizes: list[int] = []
        self._forgets_after, self._objects, self._spec = forgets_after, objects, spec or {}

    async def answer(self, request: web.Request) -> web.Response:
        if len(self.sizes) == self._forgets_after:
            return web.json_response({"message": "the provided continue parameter is too old"}, status=410)
        begin, limit = int(request.query.get("continue") or 0), int(request.query["limit"])
        end = min(begin + limit, self._objects)
        self.sizes.append(end - begin)
        metadata = {"resourceVersion": "7"} | ({"continue": str(end)} if end < self._objects else {})
        items = [{"metadata": {**ABOUT, "name": f"iris-{number}"}, "spec": self._spec} for number in range(begin, end)]
        return web.json_response({"apiVersion": "sluice.dev/v1alpha1", "metadata": metadata, "items": items})


async def found(pages: Pages) -> list[Manifest]:
    async with api_server(pages.answer) as api:
        return await ApiServer(api).find("ModelDeployment", "", {})


def test_a_list_of_a_thousand_objects_is_read_in_pages_and_complete() -> None:
    """So that the event loop is not busy with one answer for long."""
    pages = Pages()
    listed = asyncio.run(found(pages))
    assert [manifest["metadata"]["name"] for manifest in listed] == [f"iris-{number}" for number in range(OBJECTS)]
    assert {(manifest["kind"], manifest["apiVersion"]) for manifest in listed} == {
        ("ModelDeployment", "sluice.dev/v1alpha1")
    }
    assert max(pages.sizes) == 100


def test_a_list_that_expires_between_two_pages_is_no_answer() -> None:
    """A part of it must not be taken for all."""
    with pytest.raises(NoAnswer, match="too old"):
        asyncio.run(found(Pages(forgets_after=2)))


def test_large_objects_come_fewer_at_a_time() -> None:
    """A hundred of them, of the size that the API server takes, would fill the memory of the operator."""
    pages = Pages(objects=30, spec={"model": {"uri": "x" * 1_400_000}})
    listed = asyncio.run(found(pages))
    assert [manifest["metadata"]["name"] for manifest in listed] == [f"iris-{number}" for number in range(30)]
    assert max(pages.sizes[1:]) * 1_400_000 < 2**25


def test_an_answer_that_does_not_end_is_none() -> None:
    """It is not read to its end."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"[" * 65_536)

    async def got() -> Manifest | None:
        async with api_server(endless) as api:
            return await ApiServer(api).get("Pod", "models", "iris")

    with pytest.raises(NoAnswer, match="pods/iris: the answer has more than 16 MiB"):
        asyncio.run(got())
