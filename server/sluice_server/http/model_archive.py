"""GET /models/{digest}: the model folder of this pod, for another pod that cannot get it from the store.

It answers as the store does, on the cluster port only, and to whoever has the token that this pod has for the store.
What comes is checked against the digest by the pod that asks, so nobody has to believe this one.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from sluice_server.model.digest import tree_digest
from sluice_server.settings import StoreSettings
from sluice_server.store.archive import packed

PATH = "/models/"
_AT_ONCE = 2  # copies; predictions come first, and a pod that waits is started again


class ModelFolder:
    """The folder with its digest, which is computed when it is first asked for: that reads the whole model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digest = ""
        self._computing = asyncio.Lock()

    async def digest(self) -> str:
        """As the store has it."""
        async with self._computing:
            self._digest = self._digest or await run_in_threadpool(tree_digest, self.folder)
        return self._digest


def routes(model_dir: Path, store: StoreSettings) -> APIRouter:
    """The route for the folder of this pod."""
    router = APIRouter()
    folder, copying = ModelFolder(model_dir), asyncio.Semaphore(_AT_ONCE)

    @router.get(f"{PATH}{{digest}}", summary="The model folder as a tar (cluster port only)", response_class=Response)
    async def archive(digest: str, request: Request) -> Response:
        if not await run_in_threadpool(_may_read, request.headers.get("authorization", ""), store.token_file):
            return JSONResponse({"detail": "this needs the token that pods of this namespace have for the store"}, 401)
        if digest != await folder.digest():
            return JSONResponse({"detail": f"this pod has the model {await folder.digest()}, and not {digest}"}, 404)
        if copying.locked():
            detail = f"{_AT_ONCE} other pods get the model now: ask again"
            return JSONResponse({"detail": detail}, 503, {"retry-after": "5"})
        return StreamingResponse(_copied(folder.folder, copying), media_type="application/x-tar")

    return router


async def _copied(folder: Path, copying: asyncio.Semaphore) -> AsyncIterator[bytes]:
    async with copying:
        async for chunk in iterate_in_threadpool(packed(folder)):
            yield chunk


def _may_read(authorization: str, token_file: Path) -> bool:
    """Whether the request has this pod's own token. A pod without one is of a store that takes none."""
    try:
        own = f"Bearer {token_file.read_text(encoding='ascii').strip()}"
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False
    return hmac.compare_digest(own.encode(), authorization.encode())
