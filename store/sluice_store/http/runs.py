"""Run records: `/runs/{namespace}/{name}/{run}`, a JSON document of the operator for each run that has ended."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request

from sluice_store import tokens
from sluice_store.files import Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.bodies import Bodies
from sluice_store.http.errors import bad, name_of, unavailable
from sluice_store.http.readers import Readers, Streamed
from sluice_store.space import NoSpaceError, Space

COLLECTION = "runs"
MAX_RECORD = 4 * 2**20  # bytes
MAX_LISTED = 1_000
_UNREACHABLE = "the files of the store cannot be reached"


class Record(msgspec.Struct, frozen=True):
    """What is asked of a ConfigMap. `immutable`: it has all that will ever be known of the run."""

    immutable: bool | None = None


_RECORD = msgspec.json.Decoder(Record)


def routes(files: Files, access: Access, space: Space, bodies: Bodies, readers: Readers) -> APIRouter:
    """PUT and GET of a record, and the list of an object's runs."""
    router = APIRouter(prefix=f"/{COLLECTION}/{{namespace}}/{{name}}", tags=[COLLECTION])

    @router.put("/{run}", status_code=201, summary="Keep the record of a run; one that is complete is not replaced")
    async def put(namespace: str, name: str, run: str, request: Request) -> dict[str, str]:
        access.may_write_runs(request)
        path = f"{_folder(namespace, name)}/{name_of(run)}"
        async with bodies.whole(request, tokens.EVERYWHERE, MAX_RECORD) as body:
            await _keep(files, space, namespace, path, body)
        return {"run": run}

    @router.get("/{run}", summary="The record of a run", response_class=Streamed)
    async def get(namespace: str, name: str, run: str, request: Request) -> Streamed:
        access.may_read_runs(request, namespace)
        with readers.turn(namespace) as turn:
            try:
                found = await files.read(f"{_folder(namespace, name)}/{name_of(run)}")
            except FilesError as error:
                raise unavailable(_UNREACHABLE, error) from None
            if found is None:
                raise bad(f"there is no record of the run {run} of {namespace}/{name}", 404)
            headers = {"Content-Length": str(found.size)}
            return Streamed(found.chunks, turn.pop_all(), "application/json", headers)

    @router.get("", summary=f"The first {MAX_LISTED} runs of an object that have a record, by name")
    async def names(namespace: str, name: str, request: Request) -> dict[str, list[str]]:
        access.may_read_runs(request, namespace)
        try:
            return {"runs": await files.names(_folder(namespace, name), MAX_LISTED)}
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None

    return router


async def _keep(files: Files, space: Space, namespace: str, path: str, body: bytes) -> None:
    try:
        _RECORD.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(f"the record is not JSON: {str(error)[:300]}") from None
    try:
        before = await _read(files, path)
        if before is not None and _RECORD.decode(before).immutable and not _are_equal(before, body):
            raise bad(f"the record {path} is complete, and is not replaced by another one", 409)
        await space.write(namespace, path, body, len(before or b""))
    except NoSpaceError as error:
        raise bad(
            f"{error} for records of runs: keep them for a shorter time (SLUICE_STORE_RUN_MAX_AGE), or set "
            "SLUICE_STORE_MAX_RUN_BYTES higher; the newest ones are in the cluster, too",
            413,
        ) from None
    except FilesError as error:
        raise unavailable(_UNREACHABLE, error) from None


async def _read(files: Files, path: str) -> bytes | None:
    found = await files.read(path)
    return None if found is None else b"".join([chunk async for chunk in found.chunks])


def _are_equal(before: bytes, after: bytes) -> bool:
    return before == after or bool(msgspec.json.decode(before) == msgspec.json.decode(after))


def _folder(namespace: str, name: str) -> str:
    return f"{COLLECTION}/{name_of(namespace)}/{name_of(name)}"
