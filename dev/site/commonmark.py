"""Makes a page that Python-Markdown reads as CommonMark is read on a forge. Pure.

Python-Markdown wants an empty line before a list or a table, and four spaces before what belongs to an item of a list.
"""

import re

from markdown_it import MarkdownIt

CODE = r"(?:^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
_PARSER = MarkdownIt("commonmark").enable("table")
_MARKER = re.compile(r" *(?:[-*+]|\d{1,9}[.)])(?: +|$)")
_DEEPER = "    "
_AFTER_AN_EMPTY_LINE = ("bullet_list_open", "ordered_list_open", "table_open")


def rewritten(page: str) -> str:
    """`page` with the same meaning for Python-Markdown."""
    lines = page.split("\n")
    columns, depths = [0] * len(lines), [0] * len(lines)
    begins = set()
    for token in _PARSER.parse(page):
        if token.map is None:
            continue
        first, end = token.map
        if token.type in _AFTER_AN_EMPTY_LINE:
            begins.add(first)
        if token.type == "list_item_open":
            content = _content_column(lines[first], columns[first])
            for line in range(first + 1, end):
                columns[line], depths[line] = content, depths[line] + 1
    return "\n".join(_spread(lines, columns, depths, begins))


def _content_column(line: str, column: int) -> int:
    """The column in which the text of an item begins. `column`: where its marker may begin."""
    marker = _MARKER.match(line, column)
    assert marker is not None, f"no list item: {line}"
    return marker.end()


def _spread(lines: list[str], columns: list[int], depths: list[int], begins: set[int]) -> list[str]:
    spread: list[str] = []
    for number, line in enumerate(lines):
        if number in begins and spread and spread[-1].strip():
            spread.append("")
        own = line[columns[number] :] if not line[: columns[number]].strip() else line.lstrip()
        spread.append(_DEEPER * depths[number] + own if own else "")
    return spread
