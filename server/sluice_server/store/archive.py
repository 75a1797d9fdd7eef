"""A model folder as a tar, and back: regular files only, by their paths, without times, owners or modes."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sluice_server.model.file_names import is_inside

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
    """Writes the files of an archive below the folder; raises ArchiveError, or what reading and writing raise.

    File by file, since `extractall` with a filter is not in each Python 3.11, and not in the one of the image.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            for member in members:
                _write(members, member, folder)
    except tarfile.TarError as error:
        raise ArchiveError(str(error)) from None


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    content = members.extractfile(member) if member.isreg() else None
    if content is None:
        raise ArchiveError(f"{member.name!r} is not a regular file")
    if not is_inside(member.name):
        raise ArchiveError(f"{member.name!r} leads out of the folder of the model")
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK)
