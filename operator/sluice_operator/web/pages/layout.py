"""What all pages have in common: head, landmarks, navigation, and tables that a screen reader can read out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice_operator.report.markup import Markup, joined, tag

Link = tuple[str, str]  # a path of this site, and its words


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around the content of a page. `way`: the pages above it. `live`: seconds between two looks of a browser
    that runs scripts; 0: it is not drawn anew. `news`: what is read out when it changes.
    """

    title: str
    viewer: str = ""
    way: Sequence[Link] = ()
    live: int = 0
    news: str = ""


def page(frame: Frame, *content: str) -> str:
    """The whole page as HTML text."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{frame.title} - Sluice"),
        tag("link", rel="stylesheet", href="/style.css"),
        tag("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        tag("script", src="/live.js", defer="") if frame.live else "",
    )
    skip = tag("a", "Skip to the content", href="#content", class_="skip")
    live: dict[str, str | float] = {"data_live": frame.live, "data_news": frame.news} if frame.live else {}
    main = tag("main", *content, id="content", tabindex="-1", **live)
    body = tag("body", skip, *_header(frame), main, *_footer(frame))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(frame: Frame) -> Iterator[Markup]:
    signed_in = tag(
        "form",
        tag("span", "Signed in as ", tag("b", frame.viewer)),
        tag("button", "Sign out", type="submit"),
        method="post",
        action="/sign-out",
    )
    yield tag("header", *_way(frame), signed_in if frame.viewer else "")


def _way(frame: Frame) -> Iterator[Markup]:
    items = [tag("li", tag("a", words, href=path)) for path, words in (("/", "Sluice"), *frame.way)]
    here = tag("li", tag("span", frame.title, aria_current="page"))
    yield tag("nav", tag("ol", *items, here), aria_label="Way to this page")


def _footer(frame: Frame) -> Iterator[Markup]:
    if not frame.live:
        return
    pause = tag("button", "Pause updates", type="button", id="pause", hidden="", aria_pressed="false")
    said = tag("p", role="status", id="said")
    script = tag("noscript", tag("p", "This browser runs no scripts: load the page again to see what is new."))
    yield tag("footer", pause, said, script)


def table(
    name: str, heading: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", style: str = "facts"
) -> Markup:
    """A table whose first column names its rows. At a narrow screen it scrolls by itself, also by key.

    `caption`: in place of the name. `style`: a class of the style sheet.
    """
    cells = (tag("th", words, scope="col") for words in heading)
    body = (_row(row) for row in rows)
    drawn = tag(
        "table", tag("caption", caption or name), tag("thead", tag("tr", *cells)), tag("tbody", *body), class_=style
    )
    return tag("div", drawn, class_="scroll", tabindex="0", role="region", aria_label=name)


def _row(cells: Sequence[str]) -> Markup:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others))


def details(*pairs: tuple[str, str]) -> Markup:
    """Names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs))


def section(title: str, *content: str) -> Markup:
    """A part of a page under a heading."""
    return tag("section", tag("h2", title), *content)


def badge(words: str, style: str = "") -> Markup:
    """One or two words in a frame. The colour says nothing that the words do not say."""
    return tag("span", words, class_=f"badge {style or words}")


def moment(at: datetime | None) -> Markup:
    """A point in time."""
    return tag("time", f"{at:%Y-%m-%d %H:%M:%S} UTC", datetime=at.isoformat()) if at else joined()
