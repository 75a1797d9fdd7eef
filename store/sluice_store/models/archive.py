"""Reads an archive as it comes, chunk by chunk, and knows its digest at the end. Pure: nothing is unpacked.

An archive is a tar of regular files, as GNU tar and Python's `tarfile` write it (`GNU_FORMAT`). Everything else that a
tar can hold (links, devices, PAX headers, sparse files) is refused: no part of a model needs it, and each is a way to
write outside of a folder or to fill the memory. What is kept are the names and hashes of at most MAX_FILES files.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable

from sluice_store.models.digest import File, tree_digest

MAX_FILES = 2_000
MAX_NAME = 1_024  # bytes of a path
_BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(_BLOCK)


class ArchiveError(ValueError):
    """Bytes that are not an archive of a model; the message says what is wrong with them."""


class ArchiveReader:
    """Takes the chunks of one archive in their order."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._block = bytearray()  # of a header, as far as it came
        self._left = 0  # bytes of content still to come
        self._padding = 0  # bytes to skip after it
        self._consume: Callable[[memoryview], None] = lambda _: None
        self._complete: Callable[[], None] = lambda: None
        self._long_name = ""  # for the next file, if it has one
        self._zero_blocks = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes; raises ArchiveError as soon as they cannot be right."""
        data = memoryview(chunk)
        while data:
            if self._left:
                part, data = data[: self._left], data[self._left :]
                self._left -= len(part)
                self._consume(part)
                if not self._left:
                    self._complete()
            elif self._padding:
                skipped = min(self._padding, len(data))
                self._padding, data = self._padding - skipped, data[skipped:]
            else:
                missing = _BLOCK - len(self._block)
                self._block += data[:missing]
                data = data[missing:]
                if len(self._block) == _BLOCK:
                    self._read_header(bytes(self._block))
                    self._block.clear()

    def digest(self) -> str:
        """The digest of the whole archive; raises ArchiveError if it is not whole."""
        if self._zero_blocks < 2 or self._block:
            raise ArchiveError("the archive ends too early: send all of it")
        if not self._files:
            raise ArchiveError("the archive has no files")
        return tree_digest(self._files)

    def _read_header(self, block: bytes) -> None:
        if block == _ZEROS:
            self._zero_blocks += 1
            return
        if self._zero_blocks:
            raise ArchiveError("there is something behind the end of the archive")
        try:
            # In front of a file with a long name stands a piece of it, which may end inside of a letter.
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ArchiveError(f"this is no tar archive ({error}): send a tar in GNU format") from None
        if header.type == tarfile.GNUTYPE_LONGNAME:
            self._expect_long_name(header.size)
        elif header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            self._expect_file(self._name_of(header), header.size)
        else:
            raise ArchiveError(f"{header.name!r} is not a regular file: an archive holds regular files in GNU format")

    def _expect_long_name(self, size: int) -> None:
        if self._long_name or not 0 < size <= MAX_NAME + 1:
            raise ArchiveError(f"a name has {size} bytes, and {MAX_NAME} is the limit")
        name = bytearray()

        def complete() -> None:
            try:
                self._long_name = name.removesuffix(b"\0").decode()
            except UnicodeDecodeError:
                raise ArchiveError("a name is not UTF-8") from None

        self._expect(size, name.extend, complete)

    def _name_of(self, header: tarfile.TarInfo) -> str:
        name, self._long_name = self._long_name or header.name, ""
        if not _is_inside(name):
            raise ArchiveError(f"{name!r} is no path below the folder of a model")
        if name in self._files:
            raise ArchiveError(f"{name!r} is in the archive twice")
        if len(self._files) == MAX_FILES:
            raise ArchiveError(f"the archive has more than {MAX_FILES} files")
        return name

    def _expect_file(self, name: str, size: int) -> None:
        content = hashlib.sha256()

        def complete() -> None:
            self._files[name] = File(size, content.hexdigest())

        self._expect(size, content.update, complete)

    def _expect(self, size: int, consume: Callable[[memoryview], None], complete: Callable[[], None]) -> None:
        if size < 0:
            raise ArchiveError("a file has a negative size")
        self._left, self._padding = size, -size % _BLOCK
        self._consume, self._complete = consume, complete
        if not size:
            complete()


def _is_inside(name: str) -> bool:
    """Whether a path stays below the folder that it is put into, on every file system, and has one spelling."""
    unsafe = any(character in name for character in "\\:\0") or not name.isprintable()
    return not unsafe and all(part not in ("", ".", "..") for part in name.split("/"))
