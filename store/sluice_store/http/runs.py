"""Run records: `/runs/{namespace}/{name}/{run}`, a JSON document of the operator for each run that has ended."""

from __future__ import annotations

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

    @router.put("/{run}", status_code=201, summary="Keep the record of a run; one that is there is replaced")
    async def put(namespace: str, name: str, run: str, request: Request) -> dict[str, str]:
        access.may_write_runs(request)
        path = f"{_folder(namespace, name)}/{name_of(run)}"
        body = await whole(request, MAX_RECORD)
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad(f"the record is not JSON: {str(error)[:300]}") from None
        try:
            await files.write(path, once(body))
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return {"run": run}

    @router.get("/{run}", summary="The record of a run", response_class=Response)
    async def get(namespace: str, name: str, run: str, request: Request) -> Response:
        access.may_read_runs(request, namespace)
        try:
            found = await files.read(f"{_folder(namespace, name)}/{name_of(run)}")
            if found is None:
                raise bad(f"there is no record of the run {run} of {namespace}/{name}", 404)
            body = b"".join([chunk async for chunk in found.chunks])
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return Response(body, media_type="application/json")

    @router.get("", summary=f"The first {MAX_LISTED} runs of an object that have a record, by name")
    async def names(namespace: str, name: str, request: Request) -> dict[str, list[str]]:
        access.may_read_runs(request, namespace)
        try:
            return {"runs": await files.names(_folder(namespace, name), MAX_LISTED)}
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None

    return router


def _folder(namespace: str, name: str) -> str:
    return f"runs/{name_of(namespace)}/{name_of(name)}"
