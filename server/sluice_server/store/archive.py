"""A model folder as a tar, and back: regular files only, by their paths, without times, owners or modes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CHUNK = 2**18  # bytes


class ArchiveError(ValueError):
    """What came is not an archive of a model folder."""


def packed(folder: Path) -> Iterator[bytes]:
    """The archive of all files below the folder, in the order of their paths: equal folders, equal bytes."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files):
        header = tarfile.TarInfo(name)
        header.size = files[name].stat().st_size
        yield header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
        with files[name].open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        yield bytes(-header.size % tarfile.BLOCKSIZE)
    yield bytes(tarfile.RECORDSIZE)


def unpack(archive: IO[bytes], folder: Path) -> None:
    """Writes the files of an archive below the folder; raises ArchiveError, or what reading and writing raise."""
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            members.extractall(folder, _files_of(members), filter="data")
    except tarfile.TarError as error:
        raise ArchiveError(str(error)) from None


def _files_of(members: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in members:
        if not member.isreg():
            raise ArchiveError(f"{member.name!r} is not a regular file")
        yield member
