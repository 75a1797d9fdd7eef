"""HTML and SVG as nested calls. Text is escaped; only what these calls made is not."""

from html import escape


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """`<name attribute="...">children</name>`. A trailing underscore is dropped from names, others become dashes."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{named}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """One after the other."""
    return Markup("".join(one if isinstance(one, Markup) else escape(one) for one in children))


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
