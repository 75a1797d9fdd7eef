"""A drift report as one SVG: a row for each feature, with the share of each bin in the training and in the window.

It loads nothing from elsewhere and has no scripts. Pure.
"""

from collections.abc import Iterator, Sequence
from html import escape

from sluice_trainer.psi import FeatureDrift, Severity

_WIDTH, _LEFT, _ROW, _BARS = 900, 220, 90, 56  # pixels
_GREY, _COLOURS = (
    "#8c8c8c",
    {
        Severity.NONE: "#2e7d32",
        Severity.LOW: "#b8860b",
        Severity.MEDIUM: "#d2691e",
        Severity.HIGH: "#c62828",
    },
)


def drawn(title: str, features: Sequence[FeatureDrift]) -> str:
    """The picture. Each bin has its name and numbers as a tooltip."""
    height = 60 + _ROW * len(features)
    rows = "\n".join(line for place, feature in enumerate(features) for line in _row(feature, 60 + _ROW * place))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n<text x="12" y="24" font-size="16">{escape(title)}</text>\n'
        f'<text x="12" y="44" fill="{_GREY}">for each bin, in grey: the training rows; in colour: the requests</text>\n'
        f"{rows}\n</svg>\n"
    )


def _row(feature: FeatureDrift, top: int) -> Iterator[str]:
    colour, base = _COLOURS[feature.severity], top + _BARS + 8
    yield f'<text x="12" y="{top + 28}">{escape(feature.name)}</text>'
    yield f'<text x="12" y="{top + 48}" fill="{colour}">{feature.score:.3f}, {feature.severity}</text>'
    yield f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH - 12}" y2="{base}" stroke="{_GREY}"/>'
    step = (_WIDTH - 12 - _LEFT) / len(feature.bins)
    highest = max(*feature.shares, *(each.expected for each in feature.bins))
    for place, (each, seen) in enumerate(zip(feature.bins, feature.shares, strict=True)):
        left = _LEFT + step * place
        name = escape(f"{each.name}: {each.expected:.1%} of the training, {seen:.1%} of the requests")
        yield f"<g><title>{name}</title>"
        for offset, share, fill in ((0.08, each.expected, _GREY), (0.5, seen, colour)):
            size = _BARS * share / highest
            yield (
                f'<rect x="{left + step * offset:.1f}" y="{base - size:.1f}" width="{step * 0.42:.1f}" '
                f'height="{size:.1f}" fill="{fill}"/>'
            )
        yield "</g>"
