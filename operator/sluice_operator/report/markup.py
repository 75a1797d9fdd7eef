"""HTML and SVG as nested calls. Text is escaped, unless one of these calls made it.

What would steer the reader's eye, such as a letter that turns the direction of a text, is shown as an escape.
"""

from html import escape

from sluice_operator.report.words import plain

_WITHOUT_END = ("br", "input", "link", "meta")  # of HTML


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float) -> Markup:
    """`<name attribute="...">children</name>`. A trailing underscore is dropped from names, others become dashes."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{named}>" if name in _WITHOUT_END else f"<{name}{named}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """The children one after the other. Text among them is escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(plain(child)) for child in children))


def _written(value: str | float) -> str:
    return plain(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
