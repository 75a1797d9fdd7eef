"""Which files of the repository are in the site, where each of them is there, and the links between them.

README and everything in docs are pages, and what they link to: other Markdown files are pages too, folders become a
list of their files, and all other files are copied.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dev.site import commonmark, formulas

ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(commonmark.CODE, re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^()\s]+)(?=\))")
_ELSEWHERE = ("http://", "https://", "mailto:", "#")


def place(path: str) -> str:
    """Where a file of the repository is in the site; both paths are relative, with "/"."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"source/{path}/index.md"
    return f"source/{path}"


def all_files() -> dict[str, bytes]:
    """The content of each file of the site, by its place there: those that are linked from README and docs."""
    waiting = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))]
    files: dict[str, bytes] = {}
    while waiting:
        path = waiting.pop()
        if place(path) in files:
            continue
        text = _text(path)
        if text is None:
            files[place(path)] = (ROOT / path).read_bytes()
            continue
        links = list(_links(path, text))
        waiting += sorted({target for target, _ in links})
        files[place(path)] = _page(path, text, links).encode()
    return files


def _text(path: str) -> str | None:
    """The Markdown of a page, with the list of its files for a folder; None for a file that is no page."""
    there = ROOT / path
    if there.is_dir():
        names = sorted(entry.name for entry in there.iterdir() if entry.is_file())
        return f"# {path}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    return there.read_text(encoding="utf-8") if there.suffix == ".md" else None


def _page(path: str, text: str, links: Iterable[tuple[str, str]]) -> str:
    for target, written in links:
        address, _, heading = written.partition("#")
        moved = posixpath.relpath(place(target), posixpath.dirname(place(path)))
        if address:
            text = text.replace(f"]({written})", f"]({moved}{'#' if heading else ''}{heading})")
    return formulas.shown(commonmark.rewritten(text))


def _links(path: str, text: str) -> Iterator[tuple[str, str]]:
    """The file that each relative link leads to, and the link as it is written."""
    folder = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    for written in sorted(set(_LINK.findall(_CODE.sub("", text)))):
        if not written.startswith(_ELSEWHERE):
            yield posixpath.normpath(posixpath.join(folder, written.partition("#")[0])), written
