"""No link in README or docs leads to a file or a heading that does not exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:")


def without_code(text: str) -> str:
    """What is in code is shown as it stands: no link and no heading in it is one."""
    return FENCED.sub("", text)


def relative_links(page: Path) -> list[str]:
    """The targets of links that stay in the repository, as they are written."""
    text = INLINE_CODE.sub("`code`", without_code(page.read_text(encoding="utf-8")))
    return [target for target in LINK.findall(text) if not target.startswith(ELSEWHERE)]


def anchor(heading: str) -> str:
    """The name that GitHub gives to a heading: lower case, hyphens for spaces, without punctuation."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """All headings of a page by which it can be linked; a heading that comes again gets a number."""
    found: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(without_code(page.read_text(encoding="utf-8"))):
        name = anchor(heading)
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return frozenset(names)


def broken(page: Path, target: str) -> str:
    """Why a link does not work; nothing if it does."""
    path, _, heading = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.is_relative_to(ROOT) or not there.exists():
        return f"{target}: no such file"
    if heading and heading not in anchors(there):
        return f"{target}: no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    """Pages and headings are renamed; what links to them must follow."""
    assert [words for target in relative_links(page) if (words := broken(page, target))] == []


def test_links_are_found() -> None:
    """The test above would pass if no link were recognised."""
    assert "docs/concepts.md" in relative_links(ROOT / "README.md")


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("When metrics are wrong", "when-metrics-are-wrong"),
        ("8. Not worse by a drop, and tolerances (`margins`)", "8-not-worse-by-a-drop-and-tolerances-margins"),
        ("Run records and `kubectl sluice`", "run-records-and-kubectl-sluice"),
    ],
)
def test_an_anchor_is_what_github_makes_of_a_heading(heading: str, name: str) -> None:
    """Without punctuation and code marks."""
    assert anchor(heading) == name


MODULE = re.compile(r"`([a-z_]+/[a-z_/]+\.py)`")
COMPONENTS = ("operator", "server", "store", "trainer")
PACKAGES = tuple(ROOT / component / f"sluice_{component}" for component in COMPONENTS)
BELOW = (ROOT, *PACKAGES, *(ROOT / "tests" / "unit" / package.name for package in PACKAGES), ROOT / "tests")


OTHERS = ("other-servers.md", "tutorial.md")  # they name modules of others, and of the reader
OURS = tuple(page for page in PAGES if page.name not in OTHERS)


@pytest.mark.parametrize("page", OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_module_that_a_page_names_exists(page: Path) -> None:
    """`folder/module.py` in code is below the project, one of its packages or their tests."""
    named = set(MODULE.findall(page.read_text(encoding="utf-8")))
    assert {module for module in named if not any((below / module).exists() for below in BELOW)} == set()


def test_the_architecture_has_a_row_for_each_folder() -> None:
    """And CONTRIBUTING names each module of rules."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in PACKAGES[0].glob("*/__init__.py")}
    assert {folder for folder in folders if f"| `{folder}/` |" not in page} == set()
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rules = {path.name for path in (PACKAGES[0] / "rollout" / "rules").glob("[a-z]*.py")}
    assert {module for module in rules if module not in guide} == set()
