"""Prepared models: `/models/{digest}`, a tar of the model's folder, checked against its digest while it comes in.

Whoever reads a model, or asks whether it is there, uses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, HTTPException, Request, Response

from sluice_store.files import Content, Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.errors import bad, chunks, too_large, unavailable
from sluice_store.http.metrics import Metrics
from sluice_store.http.readers import Readers, Streamed
from sluice_store.http.uploads import Uploads
from sluice_store.models.archive import ArchiveError, ArchiveReader
from sluice_store.models.digest import is_digest
from sluice_store.space import Space
from sluice_store.uses import Uses

COLLECTION = "models"
CONTENT_TYPE = "application/x-tar"
_UNREACHABLE = "the files of the store cannot be reached"


def routes(
    files: Files, access: Access, metrics: Metrics, readers: Readers, max_model: int, space: Space, uses: Uses
) -> APIRouter:
    """PUT, GET, HEAD and DELETE of a model."""
    router = APIRouter(prefix="/models/{digest}", tags=["models"])
    uploads = Uploads(files, space)

    @router.put("", status_code=201, summary="Keep a model under its digest; a model that is there is replaced")
    async def put(digest: str, request: Request) -> dict[str, str]:
        namespace = access.namespace(request)
        path = _path(_model(namespace, digest))
        if int(request.headers.get("content-length", "0")) > max_model:
            raise too_large(max_model)
        body = metrics.received(chunks(request, max_model))
        try:
            await uploads.keep(namespace, path, _checked(body, digest))
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return {"digest": digest}

    @router.get("", summary="The model as a tar", response_class=Streamed)
    async def get(digest: str, request: Request) -> Streamed:
        namespace = access.namespace(request)
        model = _model(namespace, digest)
        with readers.turn(namespace) as turn:
            found = await _read(files, _path(model))
            if found is None:
                raise _absent(digest)
            await uses.note(model)
            headers = {"Content-Length": str(found.size)}
            return Streamed(metrics.sent(found.chunks), turn.pop_all(), CONTENT_TYPE, headers)

    @router.head("", summary="Whether the model is there")
    async def head(digest: str, request: Request) -> Response:
        model = _model(access.namespace(request), digest)
        size = await _size(files, _path(model))
        if size is None:
            raise _absent(digest)
        await uses.note(model)
        return Response(headers={"Content-Length": str(size), "Content-Type": CONTENT_TYPE})

    @router.delete("", summary="Remove a model; a pod that serves it puts it back within a day")
    async def delete(digest: str, request: Request) -> dict[str, str]:
        model = _model(access.namespace(request), digest)
        if await _size(files, _path(model)) is None:
            raise _absent(digest)
        try:
            await files.remove(_path(model))
            await uses.forget(model)
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return {"digest": digest}

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


async def _size(files: Files, path: str) -> int | None:
    try:
        return await files.size(path)
    except FilesError as error:
        raise unavailable(_UNREACHABLE, error) from None


def _absent(digest: str) -> HTTPException:
    return bad(f"the store has no model {digest}: prepare it again", 404)


def _model(namespace: str, digest: str) -> str:
    if not is_digest(digest):
        raise bad(f"{digest[:100]!r} is no digest: it must be sha256: and 64 lower-case hex digits")
    return f"{namespace}/{digest.removeprefix('sha256:')}.tar"


def _path(model: str) -> str:
    return f"{COLLECTION}/{model}"
