from dev.imports.circles import circles


def test_a_circle_is_found_over_several_arrows() -> None:
    """Names that only lead to the circle, or away from it, do not belong to it."""
    pairs = [("till", "stock"), ("stock", "orders"), ("orders", "till"), ("door", "till"), ("orders", "names")]

    assert circles(pairs) == (("orders", "stock", "till"),)


def test_two_circles_stay_apart() -> None:
    """An arrow from one to the other does not join them, because there is no way back."""
    pairs = [("d", "c"), ("c", "d"), ("a", "b"), ("b", "a"), ("b", "c")]

    assert circles(pairs) == (("a", "b"), ("c", "d"))


def test_two_ways_to_one_name_are_not_a_circle() -> None:
    assert circles([("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom")]) == ()
    assert circles([]) == ()
