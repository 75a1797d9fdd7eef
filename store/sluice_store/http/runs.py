"""Run records: `/runs/{namespace}/{name}/{run}`, a JSON document of the operator for each run that has ended."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from sluice_store.files import Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.errors import bad, name_of, once, unavailable, whole

MAX_RECORD = 4 * 2**20  # bytes
MAX_LISTED = 1_000
_UNREACHABLE = "the files of the store cannot be reached"


def routes(files: Files, access: Access) -> APIRouter:
    """PUT and GET of a record, and the list of an object's runs."""
    router = APIRouter(prefix="/runs/{namespace}/{name}", tags=["runs"])

    @router.put("/{run}", status_code=201, summary="Keep the record of a run; one that is complete is not replaced")
    async def put(namespace: str, name: str, run: str, request: Request) -> dict[str, str]:
        access.may_write_runs(request)
        path = f"{_folder(namespace, name)}/{name_of(run)}"
        body = await whole(request, MAX_RECORD)
        try:
            record = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad(f"the record is not JSON: {str(error)[:300]}") from None
        try:
            before = await _read(files, path)
            if before is not None and _is_complete(known := msgspec.json.decode(before)) and known != record:
                raise bad(f"the record of the run {run} is complete, and is not replaced by another one", 409)
            await files.write(path, once(body))
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return {"run": run}

    @router.get("/{run}", summary="The record of a run", response_class=Response)
    async def get(namespace: str, name: str, run: str, request: Request) -> Response:
        access.may_read_runs(request, namespace)
        try:
            body = await _read(files, f"{_folder(namespace, name)}/{name_of(run)}")
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        if body is None:
            raise bad(f"there is no record of the run {run} of {namespace}/{name}", 404)
        return Response(body, media_type="application/json")

    @router.get("", summary=f"The first {MAX_LISTED} runs of an object that have a record, by name")
    async def names(namespace: str, name: str, request: Request) -> dict[str, list[str]]:
        access.may_read_runs(request, namespace)
        try:
            return {"runs": await files.names(_folder(namespace, name), MAX_LISTED)}
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None

    return router


async def _read(files: Files, path: str) -> bytes | None:
    found = await files.read(path)
    return None if found is None else b"".join([chunk async for chunk in found.chunks])


def _is_complete(record: Any) -> bool:
    """Whether the ConfigMap has all that will ever be known of the run: then it is immutable."""
    return isinstance(record, dict) and record.get("immutable") is True


def _folder(namespace: str, name: str) -> str:
    return f"runs/{name_of(namespace)}/{name_of(name)}"
