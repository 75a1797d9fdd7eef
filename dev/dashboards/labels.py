"""What the labels of predictions say, as PromQL."""


def per_label(counter: str, by: str, of: str, window: str) -> str:
    """How much `counter` has grown for each label that was counted in `window`; nothing where there was none.

    `by`: the aggregation, such as `sum by (revision)`. `of`: the selector, in braces.
    """
    grown, labels = (f"{by} (increase({name}{of}[{window}]))" for name in (counter, "ml_feedback_total"))
    return f"{grown} / ({labels} > 0)"
