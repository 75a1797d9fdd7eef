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
        if request.path.endswith("registered-models/search"):
            return self._listed(int(request.query["max_results"]), int(request.query.get("page_token", "0")))
        name = request.query.get("name", "")
        version = request.query.get("version") or str(self.versions[name])
        run_id = _run_id(version)
        if request.path.endswith("runs/get"):
            return web.json_response({"run": {"info": {"run_id": run_id}, "data": {}}})
        return web.json_response({"model_version": _model_version(name, version)})

    def _listed(self, most: int, first: int) -> web.Response:
        models = [
            {
                "name": name,
                "creation_timestamp": 1795900000000,
                "last_updated_timestamp": 1795900000000,
                "latest_versions": [_model_version(name, str(version))],
                "aliases": [{"alias": "champion", "version": str(version)}],
            }
            for name, version in sorted(self.versions.items())[first : first + most]
        ]
        more = {"next_page_token": str(first + most)} if first + most < len(self.versions) else {}
        return web.json_response({"registered_models": models, **more})


def _run_id(version: str) -> str:
    return f"{version:0>32}"


def _model_version(name: str, version: str) -> dict[str, str]:
    run_id = _run_id(version)
    return {"name": name, "version": version, "status": "READY", "run_id": run_id, "source": f"models:/m-{run_id}"}


async def hanging(port: int) -> None:
    """Take connections and never answer, until it is cancelled."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", port) as server:
        await server.serve_forever()
