"""What the kubelet and a person read about the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest

from sluice_operator.controller import health


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def answer(path: str, *checks: Callable[[], str], role: str = "leads", hindrance: str = "") -> tuple[int, str]:
    port = free_port()
    serving = asyncio.create_task(health.serve(checks, lambda: role, port, "127.0.0.1", hindrance=lambda: hindrance))
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=5)) as client:
        response = await client.get(f"http://127.0.0.1:{port}{path}")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return response.status_code, response.text


@pytest.mark.parametrize(
    ("troubles", "status", "text"),
    [(["", ""], 200, "ok"), (["", "models/iris has been worked on for 301 s"], 503, "models/iris has been worked")],
)
def test_a_process_with_a_trouble_is_not_healthy(troubles: list[str], status: int, text: str) -> None:
    """And says which it is."""
    checks = [lambda trouble=trouble: trouble for trouble in troubles]
    found = asyncio.run(answer("/healthz", *checks))
    assert (found[0], found[1][: len(text)]) == (status, text)


@pytest.mark.parametrize(("role", "status"), [("leads", 200), ("stands by: sluice-operator-1 leads", 200), ("", 503)])
def test_standing_by_is_ready(role: str, status: int) -> None:
    """Only a process that has never reached the API server is not."""
    found = asyncio.run(answer("/readyz", role=role))
    assert (found[0], found[1]) == (status, role or "the API server has not answered yet")


def test_who_leads_and_can_work_nowhere_is_not_ready() -> None:
    """People look there; another start would not mend it, so the process stays healthy."""
    why = "works nowhere: the namespaces with team=a cannot be listed: forbidden"
    assert asyncio.run(answer("/readyz", hindrance=why)) == (503, f"leads\n{why}")
    assert asyncio.run(answer("/healthz", hindrance=why)) == (200, "ok")
