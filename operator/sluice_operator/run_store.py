"""The store's collection of run records: one request puts one record. Tries and pauses are the caller's."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.credentials import store_token, tls
from sluice_operator.http_client import Answer, Http, HttpError, Request, SlowError

_LONGEST = 30.0  # seconds, of one request: a record has up to a megabyte
_MAX_BYTES = 10_000  # of an answer
_OF_THE_RECORD = (400, 409, 413, 422)  # statuses that the same record would get again
_EVERYWHERE = "*"  # stands for the operator in a token: it writes the records of all namespaces


class StoreSilentError(Exception):
    """The store takes no record now: it does not answer, or refuses the operator. The message says what to do."""


class RecordRefusedError(Exception):
    """The store will not take this record, whenever it is sent."""


class _Detail(msgspec.Struct):
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunStore:
    """The store at `url`, without a slash at its end. `key`: of the store; empty if it asks nobody for a token."""

    http: Http
    url: str
    key: str = field(repr=False)

    async def put(self, namespace: str, name: str, run: str, document: bytes) -> None:
        """Keep a JSON document as the record of a run. Raises StoreSilentError or RecordRefusedError."""
        path = "/".join(quote(part, safe="") for part in (namespace, name, run))
        token = store_token.make(self.key, _EVERYWHERE)
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        request = Request(
            "PUT",
            f"{self.url}/runs/{path}",
            patience=_LONGEST,
            deadline=asyncio.get_running_loop().time() + _LONGEST,
            headers={**authorization, "Content-Type": "application/json"},
            content=document,
            max_bytes=_MAX_BYTES,
        )
        try:
            answer = await self.http.ask(request)
        except SlowError as error:
            raise StoreSilentError(f"the store took more than {_LONGEST:g} s") from error
        except HttpError as error:
            raise StoreSilentError(f"no answer: {tls.describe(error.tls) if error.tls else error}") from error
        _check(answer)


def _check(answer: Answer) -> None:
    if answer.status in (200, 201):
        return
    said = f"HTTP {answer.status}, {_detail(answer.body or b'')}"
    if answer.status in _OF_THE_RECORD:
        raise RecordRefusedError(said)
    if answer.status in (401, 403):
        raise StoreSilentError(f"the store refuses the operator: give it the store's key as SLUICE_STORE_KEY ({said})")
    raise StoreSilentError(said)


def _detail(body: bytes) -> str:
    try:
        return in_one_line(msgspec.json.decode(body, type=_Detail).detail) or "without a reason"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "which is no answer of a store: check SLUICE_STORE_URL"
