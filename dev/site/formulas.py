"""Turns formulas in TeX into MathML, which browsers show by themselves: the pages load nothing from elsewhere. Pure."""

import html
import re

from latex2mathml.converter import convert

from dev.site.commonmark import CODE

_BLOCK = r"(?P<block>\$\$(?P<shown>.+?)\$\$)"
_INLINE = r"(?P<inline>\$(?=[^\s$])(?P<written>[^$]*?[^\s$])\$(?!\d))"
_FOUND = re.compile(f"{CODE}|{_BLOCK}|{_INLINE}", re.MULTILINE | re.DOTALL)
_MEANT_BY_MARKDOWN = "*_|`[]\\"


def shown(page: str) -> str:
    """`page` with MathML in place of each `$...$` and `$$...$$` that is not in code."""
    return _FOUND.sub(_one, page)


def _one(found: re.Match[str]) -> str:
    if found["block"]:
        return _mathml(found["shown"], "block")
    # Without the span, a formula at the beginning of a line would be a paragraph of its own.
    return f"<span>{_mathml(found['written'], 'inline')}</span>" if found["inline"] else found[0]


def _mathml(tex: str, display: str) -> str:
    """In one line, with nothing in it that Markdown would read as its own."""
    element = convert(html.unescape(" ".join(tex.split())), display=display)
    return "".join(f"&#{ord(sign)};" if sign in _MEANT_BY_MARKDOWN else sign for sign in element)
