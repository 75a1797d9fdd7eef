"""Libraries that do without a part that this server does not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_HIDDEN = """
import colorsys, sys
from sluice_server.runtimes.optional import hide
hide("colorsys", "sched")
import colorsys
assert colorsys.rgb_to_hsv
try:
    import sched
except ImportError:
    sys.exit(0)
sys.exit(1)
"""
_ANSWERS = """
import asyncio, sys
import httpx
from sluice_server.model import manifest
from sluice_server.process import serve
from sluice_server.process.opentelemetry_sdk import Exporter
from sluice_server.settings import serve_settings

settings = serve_settings({"SLUICE_MODEL_DIR": sys.argv[1], "SLUICE_MODEL_NAME": "iris"})
found = manifest.read(settings.model_dir)
serve.hide_unused(found)
process = serve.assemble(settings, found, None)
process.entries[8080] = "cluster"
Exporter({}).close()

async def ask(path):
    transport = httpx.ASGITransport(process.dispatch)
    async with httpx.AsyncClient(transport=transport, base_url="http://pod:8080") as client:
        return (await client.get(path)).status_code

paths = "/health/live", "/metadata", "/openapi.json", "/metrics", "/v2/models/iris"
print([asyncio.run(ask(path)) for path in paths], [name for name in serve.UNUSED if sys.modules[name] is not None])
"""


def said(program: str, *arguments: str) -> str:
    """What a program prints whose warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    env = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_hidden_is_not_found_unless_it_is_there_already() -> None:
    """Whoever has it goes on with it."""
    assert said(_HIDDEN) == ""


def test_the_server_answers_without_what_it_does_not_use(model_dir: Path) -> None:
    """7 MB of each pod. A new version of a library may need what is hidden, and says so here."""
    assert said(_ANSWERS, str(model_dir)) == "[200, 200, 200, 200, 200] []"
