"""Stands in for MLflow's registry, and for one that takes connections and never answers."""

import asyncio
from collections import Counter, defaultdict

from aiohttp import web


class Registry:
    """All models exist; `versions` says which version each alias points to. `asked`: the number of requests."""

    def __init__(self) -> None:
        self.versions: defaultdict[str, int] = defaultdict(lambda: 1)
        self.asked: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        name = request.query.get("name", "")
        version = request.query.get("version") or str(self.versions[name])
        run_id = f"{version:0>32}"
        if request.path.endswith("runs/get"):
            return web.json_response({"run": {"info": {"run_id": run_id}, "data": {}}})
        source = f"models:/m-{run_id}"
        model_version = {"name": name, "version": version, "status": "READY", "run_id": run_id, "source": source}
        return web.json_response({"model_version": model_version})


async def hanging(port: int) -> None:
    """Take connections and never answer, until it is cancelled."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", port) as server:
        await server.serve_forever()
