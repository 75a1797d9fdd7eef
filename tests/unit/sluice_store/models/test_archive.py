"""The reader of archives: right whatever the chunks are, and strict about everything that is not a plain file."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_store.models import archive
from sluice_store.models.archive import ArchiveError, ArchiveReader
from sluice_store.models.digest import File, tree_digest

FILES = {"files/MLmodel": b"flavors: {}\n", "files/model.skops": b"x" * 1500, "sluice.json": b"{}"}


def tar(files: Mapping[str, bytes], tar_format: int = tarfile.GNU_FORMAT, **header: object) -> bytes:
    """An archive as Python's tarfile writes it; `header` are fields of each member."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tar_format) as archived:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in header.items():
                setattr(member, field, value)
            archived.addfile(member, io.BytesIO(data))
    return content.getvalue()


def digest_of(data: bytes, step: int = 65_536) -> str:
    reader = ArchiveReader()
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.digest()


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=150)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=2000), min_size=1, max_size=5
)


@settings(max_examples=50, deadline=None)
@given(TREES, st.integers(50, 3000))
def test_the_digest_does_not_depend_on_chunks_or_order(files: dict[str, bytes], step: int) -> None:
    """One tree has one digest, however the archive was written and however it comes in."""
    backwards = dict(reversed(files.items()))
    assert digest_of(tar(files), step) == digest_of(tar(backwards, mtime=9, mode=0o777, uname="somebody"))


def test_the_digest_is_that_of_the_tree() -> None:
    """The lines that docs/store.md describes, with the hashes of the files."""
    sums = {
        "a.txt": File(6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
        "sub/é": File(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    }
    page = Path(__file__).parents[4] / "docs" / "store.md"
    assert digest_of(tar({"sub/é": b"", "a.txt": b"hello\n"})) == tree_digest(sums)
    assert tree_digest(sums) in page.read_text(encoding="utf-8")


def test_the_digest_does_not_depend_on_single_bytes() -> None:
    """Each border between two chunks is a good one."""
    assert digest_of(tar(FILES), 1) == digest_of(tar(FILES))


def test_a_part_of_an_archive_is_none() -> None:
    """A client that was cut off has put nothing, wherever it was cut."""
    blocks = [2 * 512, 512 + 1536, 2 * 512, 2 * 512]  # the three files, and the end
    whole = tar(FILES)[: sum(blocks)]
    assert digest_of(whole) == digest_of(tar(FILES))
    for length in range(0, len(whole), 128):
        with pytest.raises(ArchiveError):
            digest_of(whole[:length])


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../x", "./x", "a//b", "c:x", "a\\b", "a\nb", "a/."], ids=repr
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """Or one that has two spellings, which would be two files and one."""
    with pytest.raises(ArchiveError, match="no path below"):
        digest_of(tar({name: b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_regular_files_are_taken(kind: bytes) -> None:
    """A link could lead out of the folder; a model needs none of them."""
    with pytest.raises(ArchiveError, match="not a regular file"):
        digest_of(tar({"a": b""}, type=kind, linkname="/etc/passwd"))


def test_pax_headers_are_refused() -> None:
    """They may have any size, and would be read into the memory."""
    with pytest.raises(ArchiveError, match="GNU format"):
        digest_of(tar({"é" * 200: b"x"}, tarfile.PAX_FORMAT))


def test_a_name_has_a_limit() -> None:
    """So has what is kept of an archive."""
    assert digest_of(tar({"n" * archive.MAX_NAME: b"x"}))
    with pytest.raises(ArchiveError, match="1024 is the limit"):
        digest_of(tar({"n" * (archive.MAX_NAME + 1): b"x"}))


def test_the_number_of_files_has_a_limit() -> None:
    """The names and hashes of all files are kept until the end."""
    files = {str(number): b"" for number in range(archive.MAX_FILES + 1)}
    with pytest.raises(ArchiveError, match="more than 2000 files"):
        digest_of(tar(files))
    files.popitem()
    assert digest_of(tar(files))


def test_a_file_may_not_come_twice() -> None:
    """The reader would take one of them, and whoever unpacks it the other."""
    twice = tar({"a": b"1"})[:1024] + tar({"a": b"2"})
    with pytest.raises(ArchiveError, match="twice"):
        digest_of(twice)


def test_nothing_may_follow_the_end() -> None:
    """Bytes that no digest covers are not kept."""
    with pytest.raises(ArchiveError, match="behind the end"):
        digest_of(tar(FILES) + tar({"more": b"x"}))


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_other_bytes_are_refused(data: bytes) -> None:
    """Whatever they are, with a sentence and nothing else."""
    with pytest.raises(ArchiveError):
        digest_of(data)


@settings(deadline=None)
@given(st.integers(0, 511), st.binary(min_size=1, max_size=40))
def test_a_changed_header_is_refused_or_another_archive(at: int, change: bytes) -> None:
    """Hostile sizes, names and types end in a digest or a sentence; sizes never make the reader wait for more."""
    data = bytearray(tar({"a": b"hello"}))
    data[at : at + len(change)] = change
    with contextlib.suppress(ArchiveError):
        assert digest_of(bytes(data)).startswith("sha256:")
