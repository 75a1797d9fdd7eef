"""How the features of a model were distributed in its training data: what drift is measured against.

A trainer logs it with the model, as JSON text in MLmodel's `metadata`. So it is a part of the model, and needs no run
and no second file.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

METADATA_KEY = "sluice.reference_bins"
MOST_FEATURES = 50  # each has about a dozen series in each pod
MOST_BINS = 50
_LOG_AGAIN = f"log the model again with metadata={{'{METADATA_KEY}': ...}} as docs/trainer.md describes it"


class FeatureReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feature: numbers have `edges`, text has `categories`.

    `counts[i]` training rows were in `[edges[i], edges[i + 1])`, the last bin with its end, or in `categories[i]`.
    `missing` rows had no value. What is left of the rows was in a category that is not listed.
    """

    name: str
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    missing: int = 0


class Reference(msgspec.Struct, frozen=True):
    """The features of a model, counted over `rows` training rows."""

    rows: int
    features: tuple[FeatureReference, ...]


def parse(text: str) -> Reference:
    """The reference in a text of JSON; raises ValueError with what is wrong with it."""
    try:
        reference = msgspec.json.decode(text, type=Reference)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the reference bins cannot be read ({error}): {_LOG_AGAIN}") from None
    for feature in reference.features:
        if wrong := _fault(feature, reference.rows):
            raise ValueError(f"the reference bins of {feature.name!r} cannot be used, {wrong}: {_LOG_AGAIN}")
    return reference


def _fault(feature: FeatureReference, rows: int) -> str:
    """What is wrong with a feature; empty if nothing is."""
    counted = feature.missing + sum(feature.counts)
    if not 0 < len(feature.counts) <= MOST_BINS:
        return f"there are {len(feature.counts)} bins instead of 1 to {MOST_BINS}"
    if min(feature.missing, *feature.counts) < 0 or counted > rows or rows <= 0:
        return f"{counted} of {rows} rows are counted"
    if feature.categories and feature.edges:
        return "there are edges and categories"
    if feature.categories:
        named = len(set(feature.categories)) == len(feature.categories) == len(feature.counts)
        return "" if named else "each bin needs a category of its own"
    return _fault_of_edges(feature.edges, len(feature.counts))


def _fault_of_edges(edges: tuple[float, ...], bins: int) -> str:
    if len(edges) != bins + 1:
        return f"{bins} bins need {bins + 1} edges, and there are {len(edges)}"
    *starts, end = edges
    rising = all(low < high for low, high in pairwise(starts)) and starts[-1] <= end
    return "" if rising and all(map(math.isfinite, edges)) else "the edges must rise"
