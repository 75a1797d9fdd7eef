"""Whether what an ONNX model took for the rows that were measured says how long it takes for others."""

from __future__ import annotations

from typing import Any

# What they make is as large as the numbers in a row say.
_SIZED_BY_VALUES = frozenset(
    {"AffineGrid", "BlackmanWindow", "CenterCropPad", "Col2Im", "ConstantOfShape", "DFT", "Expand", "HammingWindow"}
    | {"HannWindow", "MaxUnpool", "MelWeightMatrix", "OneHot", "Pad", "Range", "Resize", "STFT", "Tile", "Upsample"}
)


def is_steady(model: Any) -> bool:
    """Whether each row takes a model about as long, as far as its operators tell.

    Not where graphs are inside of nodes (If, Scan) or functions: which parts of them run, and how often, is up to the
    values. Nor where values say how large something gets.
    """
    nodes = model.graph.node
    inside = any(attribute.HasField("g") or attribute.graphs for node in nodes for attribute in node.attribute)
    return not (model.functions or inside or any(node.op_type in _SIZED_BY_VALUES for node in nodes))
