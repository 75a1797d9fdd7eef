"""Pauses between tries: each is twice as long as the one before, up to a limit."""

_MOST_DOUBLINGS = 16  # so that the number stays one


def growing(first: float, most: float, before: int) -> float:
    """Seconds until the next try. `first`: of the first pause; `before`: how many pauses there were before this one."""
    return min(most, first * 2.0 ** min(before, _MOST_DOUBLINGS))
