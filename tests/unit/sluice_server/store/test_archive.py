"""A model folder as an archive, and back."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from sluice_server.model.digest import tree_digest
from sluice_server.store.archive import ArchiveError, packed, unpack


def tree(root: Path) -> Path:
    for name, content in {
        "files/MLmodel": b"flavors: {}\n",
        "files/empty": b"",
        f"files/{'long' * 40}/{'ö' * 100}": b"x" * 700_000,
        "sluice.json": b"{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    """Names, bytes and so the digest."""
    folder = tree(tmp_path / "one")
    unpack(io.BytesIO(b"".join(packed(folder))), tmp_path / "two")
    assert tree_digest(tmp_path / "two") == tree_digest(folder)


def test_equal_folders_are_equal_archives(tmp_path: Path) -> None:
    """Times and modes are not in it."""
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    os.utime(two / "sluice.json", (0, 0))
    (two / "sluice.json").chmod(0o600)
    assert b"".join(packed(one)) == b"".join(packed(two))


def hostile(kind: bytes = tarfile.REGTYPE, name: str = "a", target: str = "") -> io.BytesIO:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    written.seek(0)
    return written


@pytest.mark.parametrize(
    "archive",
    [
        hostile(tarfile.SYMTYPE, target="/etc/passwd"),
        hostile(tarfile.LNKTYPE, target="../x"),
        hostile(tarfile.FIFOTYPE),
        hostile(name="../outside"),
        io.BytesIO(b"no archive"),
        io.BytesIO(b""),
        io.BytesIO(b"".join(hostile())[:300]),
    ],
)
def test_what_leads_out_of_the_folder_is_not_unpacked(archive: io.BytesIO, tmp_path: Path) -> None:
    """A store that somebody took over can keep a pod from starting, and nothing else."""
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ArchiveError):
        unpack(archive, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["model"]
