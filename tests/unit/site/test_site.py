"""The documentation as a site: every page, every link, nothing from elsewhere, and the same as it reads on a forge."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from dev.site import commonmark, formulas
from dev.site.__main__ import build
from dev.site.pages import ROOT, place

DOCS = [page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "docs").glob("*.md"))]
COUNTED = {"pre": ["fence", "code_block"], "table": ["table_open"], "tr": ["tr_open"]}


@dataclass
class Built(HTMLParser):
    """What the tests look at in one HTML page. `counted`: tags inside its article."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    text: str = ""
    depths: list[int] = field(default_factory=list)  # of the items of its lists
    _article: int = 0
    _lists: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.ids.add(of.get("id", ""))
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        self.loaded += [of[name] for name in ("src", "data") if name in of]
        if tag == "link" and of.get("rel", "") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(of["href"])
        self._article += tag == "article"
        if self._article:
            self.counted[tag] += 1
            self._lists += tag in ("ul", "ol")
            self.depths += [self._lists] if tag == "li" else []

    def handle_endtag(self, tag: str) -> None:
        self._article -= tag == "article"
        self._lists -= self._article and tag in ("ul", "ol")

    def handle_data(self, data: str) -> None:
        if self._article:
            self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as it was built from the repository."""
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> dict[Path, Built]:
    """Each page of the site."""
    read = {}
    for page in folder.rglob("*.html"):
        read[page] = Built()
        read[page].feed(page.read_text(encoding="utf-8"))
    return read


def test_each_link_leads_to_a_page_and_a_heading(site: dict[Path, Built]) -> None:
    broken = []
    for page, built in site.items():
        for link in built.links:
            target = urlsplit(link)
            if target.scheme or page.name == "404.html":
                continue
            there = (page.parent / unquote(target.path)).resolve() if target.path else page
            heading = unquote(target.fragment)
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file() or (heading and there in site and heading not in site[there].ids):
                broken.append(f"{page.name}: {link}")
    assert broken == []
    assert sum(len(built.links) for built in site.values()) > 1000


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Built]) -> None:
    loaded = {address for built in site.values() for address in built.loaded}
    assert [address for address in loaded if urlsplit(address).netloc] == []
    assert any(address.endswith(".css") for address in loaded)


@pytest.mark.parametrize("path", ["README.md", *DOCS])
def test_a_page_has_the_parts_that_a_forge_shows(folder: Path, site: dict[Path, Built], path: str) -> None:
    """Python-Markdown reads lists and code in them in another way; a page that was not prepared would lose them."""
    parsed = MarkdownIt("commonmark").enable("table").parse((ROOT / path).read_text(encoding="utf-8"))
    tokens = Counter(token.type for token in parsed)
    built = site[(folder / place(path)).with_suffix(".html")]
    expected = {tag: sum(tokens[kind] for kind in kinds) for tag, kinds in COUNTED.items()}
    assert {tag: built.counted[tag] for tag in COUNTED} == expected
    assert built.depths == [(token.level + 1) // 2 for token in parsed if token.type == "list_item_open"]


def test_formulas_are_mathml(folder: Path, site: dict[Path, Built]) -> None:
    """No TeX is left, and nothing runs in the browser to show it."""
    built = site[folder / "statistics.html"]
    assert built.counted["math"] > 150
    assert [word for word in ("\\frac", "\\le", "$") if word in built.text] == []


def test_each_page_has_its_place_in_the_navigation() -> None:
    settings = tomllib.loads((ROOT / "dev" / "site" / "zensical.toml").read_text(encoding="utf-8"))
    named = [page for part in settings["project"]["nav"] for pages in part.values() for page in pages]
    assert sorted(named) == sorted(["index.md", *(place(path) for path in DOCS)])


def test_a_list_is_spread_out_for_python_markdown() -> None:
    page = "Text:\n- one\n  ```sh\n    run\n  ```\n  1. inner\n     goes on\n- two\n- three\n"
    spread = "Text:\n\n- one\n\n    ```sh\n      run\n    ```\n\n    1. inner\n        goes on\n\n- two\n- three\n"
    assert commonmark.rewritten(page) == spread


def test_dollars_that_are_no_formula_stay() -> None:
    page = "`$a$` costs 5 $ or $6, not $7:\n```sh\necho $HOME $PATH\n```\n"
    assert formulas.shown(page) == page


def test_what_markdown_would_read_in_a_formula_is_escaped() -> None:
    shown = formulas.shown("$a_i * b | c$")
    assert shown.startswith("<span><math")
    assert not set("*_|`\\").intersection(shown)
