"""Where the bytes are: a folder of a volume, or a bucket of an object store. A thin shell over obstore.

A file is there whole or not at all: it becomes visible when its last byte was accepted, and a write that fails leaves
nothing. Reading and writing take some megabytes of memory, however large a file is.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import obstore
from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

from sluice_store.settings import SettingError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

CHUNK = 2**16  # bytes of a chunk that is read
_PART = 8 * 2**20  # bytes of a part that is written; an object of S3 has at most 10,000
_PARTS_AT_ONCE = 2
_LISTED_AT_ONCE = 1_000
_PATIENCE = timedelta(seconds=20)  # with an object store that does not answer; then the caller is told
# `timeout` is for a whole request, and by default 30 s: a model of some gigabytes takes longer, and a slow reader too.
_CLIENT: ClientConfig = {
    "connect_timeout": "5s",
    "read_timeout": _PATIENCE,
    "timeout": timedelta(hours=6),
    "allow_http": True,
}
_SAID = re.compile(  # of S3
    r"<Code>(?P<code>[^<]*)</Code>(?:(?!<Code>).)*?<Message>(?P<message>[^<]*)</Message>", re.DOTALL
)
_HINTS = {
    **dict.fromkeys(
        ("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ": may the store's keys read, list and write there, and are they right?",
    ),
    "NoSuchBucket": ": create it, or correct SLUICE_STORE_FILES_URL",
}
_EMPTY = "nothing-is-here"  # a folder that nobody writes to
_Store: TypeAlias = LocalStore | S3Store | GCSStore | AzureStore


class FilesError(Exception):
    """The volume or the object store did not do what it should; the message has its words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a list: its path, its size in bytes, and when it was written, in seconds since the epoch."""

    path: str
    size: int
    written: float


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is being read: its size in bytes, and its bytes in chunks."""

    size: int
    chunks: AsyncIterator[bytes]


class Files:
    """Files by their paths. `url`: `file:///folder`, `s3://bucket/prefix`, `gs://bucket` or `az://container`.

    Credentials and the address of an object store come from its usual variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, ...).
    """

    def __init__(self, url: str) -> None:
        self._store = _open(url)

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> None:
        """Replaces the file. What `chunks` raises comes through, and then nothing was written."""
        try:
            await obstore.put_async(self._store, path, chunks, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error

    async def size(self, path: str) -> int | None:
        """Its size in bytes; None if there is no such file."""
        try:
            return (await obstore.head_async(self._store, path))["size"]
        except FileNotFoundError:
            await self.check()
            return None
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error

    async def read(self, path: str) -> Content | None:
        """The file; None if there is no such file. Its chunks raise FilesError when the rest cannot be read."""
        try:
            found = await obstore.get_async(self._store, path)
        except FileNotFoundError:
            await self.check()
            return None
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error
        return Content(found.meta["size"], _chunks(found))

    async def check(self) -> None:
        """Raises FilesError if there is no such bucket, or if it cannot be listed.

        An object store says of a file in it only that there is no such file, and that must not pass for an answer.
        """
        async for _ in self.entries(_EMPTY):
            pass

    async def remove(self, path: str) -> None:
        """There is no such file any more, whether there was one or not."""
        try:
            await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error

    async def entries(self, folder: str) -> AsyncIterator[Entry]:
        """All files of a folder and of those in it, in no order; none if there is no such folder."""
        try:
            async for batch in obstore.list(self._store, f"{folder}/", chunk_size=_LISTED_AT_ONCE):
                for entry in batch:
                    yield Entry(str(entry["path"]), entry["size"], entry["last_modified"].timestamp())
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error

    async def folders(self, folder: str) -> list[str]:
        """The names of the folders in it, sorted."""
        try:
            found = await obstore.list_with_delimiter_async(self._store, f"{folder}/")
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    async def names(self, folder: str, limit: int) -> list[str]:
        """The names of the first files of a folder; none if there is no such folder."""
        names: list[str] = []
        try:
            async for batch in obstore.list(self._store, f"{folder}/", chunk_size=limit):
                names += [str(entry["path"]).rpartition("/")[2] for entry in batch]
                if len(names) >= limit:
                    break
        except (BaseError, OSError) as error:
            raise FilesError(_brief(error)) from error
        return sorted(names)[:limit]


async def _chunks(found: obstore.GetResult) -> AsyncIterator[bytes]:
    try:
        async for chunk in found.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        raise FilesError(_brief(error)) from error


def _open(url: str) -> _Store:
    scheme = url.partition("://")[0]
    try:
        if scheme == "file":
            folder = LocalStore.from_url(url, mkdir=True, automatic_cleanup=True)
            assert isinstance(folder, LocalStore)
            _remove_unfinished(Path(folder.prefix or "/"))
            return folder
        if scheme in {"s3", "gs", "az"}:
            _check_endpoints()
            store = from_url(
                url,
                client_options=_CLIENT,
                retry_config={"max_retries": 2, "retry_timeout": _PATIENCE},
            )
            assert isinstance(store, S3Store | GCSStore | AzureStore)
            return store
    except (BaseError, UnknownConfigurationKeyError, OSError, ValueError) as error:
        raise SettingError(f"SLUICE_STORE_FILES_URL cannot be used: {_brief(error)}") from None
    raise SettingError(
        f"SLUICE_STORE_FILES_URL begins with {scheme[:20]!r}: it must be file:///folder, s3://bucket/prefix, "
        "gs://bucket/prefix or az://container/prefix."
    )


def _check_endpoints() -> None:
    """obstore would end the whole process later. Raises ValueError."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        address = os.environ.get(name, "")
        if address and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", address):
            raise ValueError(f"{name} is {address[:100]!r}, and must be an address such as https://s3.example.com")


def _remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed had written of a file: obstore has it beside that file, as `NAME#1`.

    No file of the store has a # in its name, and no other process writes into its folder.
    """
    for file in folder.rglob("*#*"):
        if file.is_file():
            file.unlink()


def _brief(error: Exception) -> str:
    """The words of S3, or the first line: behind it obstore repeats everything with its own types."""
    if said := _SAID.search(str(error)):
        return f"{said['code']}, {html.unescape(said['message']).rstrip('.')}{_HINTS.get(said['code'], '')}"
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
