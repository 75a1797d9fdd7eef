"""kopf gets bounded objects from the session that the operator gives it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from aiohttp import test_utils, web

from sluice_operator.api import pod_template
from sluice_operator.kubernetes.bounded_response import BoundedResponse
from tests.unit.sluice_operator.kubernetes.test_bounded import DEEP, LARGE, an_object


async def answered(body: bytes, status: int = 200) -> Any:
    """What kopf reads of a list or an error, and the lines that it reads of a watch."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    application = web.Application()
    application.router.add_get("/", answer)
    async with (
        test_utils.TestServer(application) as server,
        aiohttp.ClientSession(response_class=BoundedResponse) as session,
        session.get(server.make_url("/")) as response,
    ):
        if not body.startswith(b'{"type"'):
            return await response.json()
        return [part async for part in response.content.iter_chunked(1024)]


def test_a_list_and_a_watch_are_bounded() -> None:
    """Each line of a watch is a change, however many came at once."""
    listed = asyncio.run(answered(b'{"items":[%b]}' % an_object(DEEP)))
    assert pod_template.LEFT_OUT in listed["items"][0]["spec"]["server"]["podTemplate"]
    lines = b"".join(b'{"type":"ADDED","object":%b}\n' % an_object(x) for x in (LARGE, b"1", DEEP))
    told = [json.loads(line) for line in asyncio.run(answered(lines))]
    templates = [change["object"]["spec"]["server"]["podTemplate"] for change in told]
    assert [pod_template.LEFT_OUT in template for template in templates] == [True, False, True]


def test_an_error_is_told_as_it_came() -> None:
    """kopf reads its message."""
    assert asyncio.run(answered(b'{"kind":"Status","code":403}', 403)) == {"kind": "Status", "code": 403}
