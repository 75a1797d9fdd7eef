"""`run` with RELOAD_INTERVAL: follows what an alias names, and starts each new version beside the one that answers.

Each version is fetched, checked and loaded in a process of its own. So one that crashes or needs all memory of its own
is no trouble for the other, and its memory is given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sluice_server.fetch import artifacts
from sluice_server.process.lifecycle import bind
from sluice_server.reload.asker import Asker
from sluice_server.reload.child import Listeners
from sluice_server.reload.supervisor import Supervisor
from sluice_server.settings import ServeSettings


def run(uri: str, interval: float, env: Mapping[str, str], settings: ServeSettings, folder: Path) -> int:
    """Serves what `uri` names, asked for every `interval` seconds, until a signal; gives the exit code."""
    listeners = Listeners(bind(settings.host, settings.cluster_port), bind(settings.host, settings.gateway_port))
    return asyncio.run(Supervisor(Asker(partial(artifacts.pin, uri)), interval, env, listeners, folder).run())
