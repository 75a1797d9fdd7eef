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
    token = OwnToken(store)

    @router.get(f"{PATH}{{digest}}", summary="The model folder as a tar (cluster port only)", response_class=Response)
    async def archive(digest: str, request: Request) -> Response:
        if not await run_in_threadpool(token.is_shown, request.headers.get("authorization", "")):
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


class OwnToken:
    """The token that this pod has for the store, which others show to get its model.

    Only a pod of an open store gives its model without one. That there is no file says nothing: the Secret is deleted
    and made anew when the key of the store changes, and a container may be started again in between.
    """

    def __init__(self, store: StoreSettings) -> None:
        self._file = store.token_file
        self._needed = not store.is_open

    def is_shown(self, authorization: str) -> bool:
        """Whether a request with this header may have the model; nobody may while the token is gone or empty."""
        try:
            token = self._file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return not self._needed
        except (OSError, UnicodeDecodeError):
            return False
        self._needed = True
        return bool(token) and hmac.compare_digest(f"Bearer {token}".encode(), authorization.encode())
