"""Durations, shares, ratios and numbers as people write them: read exactly, and written back as they were."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.api import spec, status
from sluice_operator.api.quantities import Duration, Number, Ratio, Share, decode, encode
from tests.unit.sluice_operator.build import a_spec, raw_spec, rolling_back, stable_on, stepping, watching

PARTS = st.lists(st.none() | st.integers(0, 999_999), min_size=4, max_size=4).filter(
    lambda parts: any(part is not None for part in parts)
)


@given(PARTS)
def test_a_duration_is_the_sum_of_its_parts(parts: list[int | None]) -> None:
    """Hours, minutes, seconds and milliseconds, each of which may be left out. The text is kept as it was read."""
    text = "".join(f"{part}{unit}" for part, unit in zip(parts, ("h", "m", "s", "ms"), strict=True) if part is not None)
    hours, minutes, seconds, millis = (part or 0 for part in parts)
    read = Duration.parse(text)
    assert read == timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
    assert (str(read), encode(read), decode(Duration, text)) == (text, text, read)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "1d", "1.5h", "-1s", "30s1m", "1ms1s", "1h ", "1H", "ms"])
def test_text_that_is_not_a_duration_is_refused(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match="write for example 30s, 5m, 1h30m or 500ms"):
        Duration.parse(text)


@given(st.integers(1, 99_999))
def test_a_share_may_be_a_percentage_or_a_fraction(thousandths: int) -> None:
    """Both give the same number, and the text is kept as it was read."""
    percent, fraction = f"{thousandths / 1000}%", f"{thousandths / 100_000:.5f}"
    assert Share.parse(percent) == pytest.approx(Share.parse(fraction), rel=1e-12)
    assert (str(Share.parse(percent)), encode(Share.parse(fraction))) == (percent, fraction)


@pytest.mark.parametrize("text", ["", "%", "0", "1", "0%", "100%", "5", "-5%", "nan", "inf", "5%%", "a"])
def test_text_that_is_not_a_share_is_refused(text: str) -> None:
    """Neither 0 nor 1 is allowed, and a 5 was probably meant as 5 %."""
    with pytest.raises(ValueError, match=re.escape('write for example "0.1%" or "0.70"')):
        Share.parse(text)


@pytest.mark.parametrize("value", [5, 0.5, None, ["30s"]])
def test_other_types_are_refused(value: object) -> None:
    """Durations and shares are read only from text."""
    for kind in (Duration, Share):
        with pytest.raises(NotImplementedError):
            decode(kind, value)


def test_a_spec_that_cannot_be_read_names_the_field() -> None:
    """The API server refuses such a spec, but an older object may still have it."""
    broken = raw_spec(model__pollInterval="soon")
    with pytest.raises(ValueError, match=r"'soon' is not a duration.* at `\$\.model\.pollInterval`"):
        spec.parse(broken)


@pytest.mark.parametrize("build", [stepping, watching, rolling_back, lambda: stable_on(1)])
def test_a_status_survives_being_stored(build) -> None:  # type: ignore[no-untyped-def]
    """It is equal after it was written and read back, so a reconcile that changes nothing writes nothing."""
    before = build().status
    assert status.parse(status.dump(before)) == before


def test_an_empty_status_is_the_first_one() -> None:
    """No status, and one without fields, are the same."""
    assert status.parse(None) == status.parse({}) == status.Status()
    assert a_spec() == a_spec()


@pytest.mark.parametrize(("text", "value"), [("2", 2.0), ("1.5", 1.5), ("80", 80.0)])
def test_ratios_are_above_1(text: str, value: float) -> None:
    """And their text is kept as it was read."""
    ratio = Ratio.parse(text)
    assert (ratio, str(ratio)) == (value, text)


@pytest.mark.parametrize("text", ["1", "0.5", "80.1", "twice", "50%", "", "nan"])
def test_text_that_is_not_a_ratio_is_refused(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=re.escape('write for example "1.5" or "2"')):
        Ratio.parse(text)


@pytest.mark.parametrize(("text", "value"), [("10", 10.0), ("-0.5", -0.5), ("0", 0.0)])
def test_numbers_may_be_negative_or_0(text: str, value: float) -> None:
    """And their text is kept as it was read."""
    number = Number.parse(text)
    assert (number, str(number)) == (value, text)


@pytest.mark.parametrize("text", ["ten", "", "inf", "nan"])
def test_text_that_is_not_a_finite_number_is_refused(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match=re.escape('write for example "10" or "-0.5"')):
        Number.parse(text)
