"""Makes a page that Python-Markdown reads as CommonMark is read on a forge. Pure.

Python-Markdown wants four spaces before what belongs to an item of a list, and an empty line before a list or a table,
also between an item that ends with one and the next item.
"""

import re

from markdown_it import MarkdownIt

CODE = r"(?:^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
_PARSER = MarkdownIt("commonmark").enable("table")
_MARKER = re.compile(r" *(?:[-*+]|\d{1,9}[.)])(?: +|$)")
_DEEPER = "    "
_APART = ("bullet_list_open", "ordered_list_open", "table_open", "fence")


def rewritten(page: str) -> str:
    """`page` with the same meaning for Python-Markdown."""
    lines = page.split("\n")
    columns, depths = [0] * len(lines), [0] * len(lines)
    apart: set[int] = set()  # lines that need an empty one before them
    items: list[int] = []  # the ends of the items around a token
    for token in _PARSER.parse(page):
        if token.type == "list_item_close":
            items.pop()
        if token.map is None:
            continue
        first, end = token.map
        if token.type in _APART:
            apart.update([first, *items])
        if token.type == "list_item_open":
            items.append(end)
            content = _content_column(lines[first], columns[first])
            for line in range(first + 1, end):
                columns[line], depths[line] = content, depths[line] + 1
    return "\n".join(_spread(lines, columns, depths, apart))


def _content_column(line: str, column: int) -> int:
    """The column in which the text of an item begins. `column`: where its marker may begin."""
    marker = _MARKER.match(line, column)
    assert marker is not None, f"no list item: {line}"
    return marker.end()


def _spread(lines: list[str], columns: list[int], depths: list[int], apart: set[int]) -> list[str]:
    spread: list[str] = []
    for number, line in enumerate(lines):
        if number in apart and spread and spread[-1].strip():
            spread.append("")
        own = line[columns[number] :] if not line[: columns[number]].strip() else line.lstrip()
        spread.append(_DEEPER * depths[number] + own if own else "")
    return spread
