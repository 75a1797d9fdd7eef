"""Answers of the API server: read up to a limit, and decoded object by object."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import msgspec

from sluice_operator.api import foreign_json, names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes import bounded
from sluice_operator.kubernetes.port import NoAnswer

_MAX_BYTES = 16 * 1024 * 1024  # ten times as many as the largest object has


class TooLarge(NoAnswer):
    """The answer has more than _MAX_BYTES."""


class Page(NamedTuple):
    """A part of a list, which makes each object when it is its turn. `after`: where the next part begins, if any."""

    items: Iterator[Manifest]
    after: str
    version: str


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    after: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, rename="camel"):
    api_version: str
    metadata: _ListMetadata
    items: list[msgspec.Raw]


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str


class _Written(msgspec.Struct):
    metadata: _Metadata


def page(kind: str, text: bytes) -> Page:
    """A part of a list of `kind` objects. Raises NoAnswer, as all functions here."""
    listed: _List = decoded(text, _List)
    about = {"kind": kind, "apiVersion": listed.api_version}  # a list says this once
    items = ({**manifest(kind, item), **about} for item in listed.items)
    return Page(items, listed.metadata.after, listed.metadata.resource_version)


def manifest(kind: str, text: bytes | msgspec.Raw) -> Manifest:
    """An object of this kind."""
    try:
        read: Manifest = bounded.model_deployment(text) if kind == names.KIND else foreign_json.decoded(text)
    except ValueError as error:
        raise NoAnswer(f"a {kind} came that cannot be read: {error}") from error
    return read


def version(text: bytes) -> str:
    """The resourceVersion of an object."""
    written: _Written = decoded(text, _Written)
    return written.metadata.resource_version


def decoded(text: bytes, kind: Any = Any) -> Any:
    """A value of the type `kind`."""
    try:
        return foreign_json.decoded(text, kind)
    except ValueError as error:
        raise NoAnswer(f"what came is no JSON, or not what was asked for: {error}") from error


async def body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises TooLarge, or aiohttp.ClientError."""
    read = bytearray()
    try:
        async for part in response.content.iter_any():
            read += part
            if len(read) > _MAX_BYTES:
                raise TooLarge(f"{response.url.path}: the answer has more than {_MAX_BYTES // 1024**2} MiB")
    except BaseException:
        response.close()  # with its connection, on which the rest would still come
        raise
    return bytes(read)


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream, however long they are."""
    begun = bytearray()
    async for chunk in content.iter_any():
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield bytes(begun + line)
            begun.clear()
        begun += rest
