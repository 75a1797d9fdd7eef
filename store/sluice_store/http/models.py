"""Prepared models: `/models/{digest}`, a tar of the model's folder, checked against its digest while it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from sluice_store.files import Content, Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.errors import bad, busy, chunks, drain, too_large, unavailable
from sluice_store.http.metrics import Metrics
from sluice_store.models.archive import ArchiveError, ArchiveReader
from sluice_store.models.digest import is_digest

CONTENT_TYPE = "application/x-tar"
_WRITES_AT_ONCE = 8  # each takes some 25 MiB; whoever comes then is told to come again
_UNREACHABLE = "the files of the store cannot be reached"


def routes(files: Files, access: Access, metrics: Metrics, max_model: int) -> APIRouter:
    """PUT, GET and HEAD of a model."""
    router = APIRouter(prefix="/models/{digest}", tags=["models"])
    writing = asyncio.Semaphore(_WRITES_AT_ONCE)

    @router.put("", status_code=201, summary="Keep a model under its digest; a model that is there is replaced")
    async def put(digest: str, request: Request) -> dict[str, str]:
        try:
            path = _path(access.namespace(request), digest)
            if int(request.headers.get("content-length", "0")) > max_model:
                raise too_large(max_model)
            if writing.locked():
                raise busy(f"the store writes {_WRITES_AT_ONCE} other models now, which is its limit: send it again")
            async with writing:
                await files.write(path, _checked(metrics.received(chunks(request, max_model)), digest))
        except HTTPException:
            await drain(request)
            raise
        except FilesError as error:
            await drain(request)
            raise unavailable(_UNREACHABLE, error) from None
        return {"digest": digest}

    @router.get("", summary="The model as a tar", response_class=StreamingResponse)
    async def get(digest: str, request: Request) -> StreamingResponse:
        found = await _read(files, _path(access.namespace(request), digest))
        if found is None:
            raise _absent(digest)
        headers = {"Content-Length": str(found.size)}
        return StreamingResponse(metrics.sent(found.chunks), media_type=CONTENT_TYPE, headers=headers)

    @router.head("", summary="Whether the model is there")
    async def head(digest: str, request: Request) -> Response:
        try:
            size = await files.size(_path(access.namespace(request), digest))
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        if size is None:
            raise _absent(digest)
        return Response(headers={"Content-Length": str(size), "Content-Type": CONTENT_TYPE})

    return router


async def _checked(body: AsyncIterator[bytes], digest: str) -> AsyncIterator[bytes]:
    """The bytes of an archive; raises before the end if they are not those of the digest, so that nothing is kept."""
    archive = ArchiveReader()
    try:
        async for chunk in body:
            archive.feed(chunk)
            yield chunk
        found = archive.digest()
    except ArchiveError as error:
        raise bad(f"the body is no archive of a model: {error}") from None
    if found != digest:
        raise bad(f"the files of the archive have the digest {found}, and the address says {digest}: send them again")


async def _read(files: Files, path: str) -> Content | None:
    try:
        return await files.read(path)
    except FilesError as error:
        raise unavailable(_UNREACHABLE, error) from None


def _absent(digest: str) -> HTTPException:
    return bad(f"the store has no model {digest}: prepare it again", 404)


def _path(namespace: str, digest: str) -> str:
    if not is_digest(digest):
        raise bad(f"{digest[:100]!r} is no digest: it must be sha256: and 64 lower-case hex digits")
    return f"models/{namespace}/{digest.removeprefix('sha256:')}.tar"
