"""A query reads the series of one namespace and no others, whatever it is written like."""

from __future__ import annotations

import re
import time

import promql_parser as promql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.analysis.confinement import ConfinementError, confined
from tests.unit.sluice_operator.analysis.hostile_queries import CONFINED, REFUSED

_WORDS = "own secret namespace victim 5m 1 by or on sum rate"
PIECES = [*"(){}[],:+-*/^\"'`\\@#=~! \n", *_WORDS.split()]


def is_confined(selector: promql.VectorSelector) -> bool:
    """Whether it has one of the matchers that confine, as an equality or, for Envoy, a prefix that ends with `_`."""
    matchers = {str(matcher) for matcher in selector.matchers.matchers}
    return not matchers.isdisjoint(
        ('namespace="models"', 'exported_namespace="models"', 'envoy_cluster_name=~"models_.+"')
    )


def selectors(text: str) -> list[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []

    def see(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(text), see)
    return found


@pytest.mark.parametrize("query", CONFINED)
def test_each_selector_gets_the_namespace(query: str) -> None:
    """In subqueries, on both sides of operators, in arguments, and beside what looks like the end of a string."""
    written = selectors(confined(query, "models"))
    assert written
    assert all(map(is_confined, written))


@pytest.mark.parametrize(("query", "says"), REFUSED)
def test_what_cannot_be_confined_is_refused(query: str, says: str) -> None:
    """With a sentence that names the reason, or the place."""
    with pytest.raises(ConfinementError, match=re.escape(says)):
        confined(query, "models")


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("vector(1)", "vector(1.0)"),
        (
            '1 - sum by (le) (rate(a_bucket{le=~"0.[25]"}[1m] offset 5m)) / on (le) group_left (x) b > bool 2',
            '1.0 - sum by (le) (rate({__name__="a_bucket", le=~"0.[25]", namespace="models"}[60000ms] offset 300000ms))'
            ' / on (le) group_left (x) {__name__="b", namespace="models"} > bool 2.0',
        ),
        ("topk without (a) (3, b)", 'topk without (a) (3.0, {__name__="b", namespace="models"})'),
        ("a @ 5 ^ -b", '{__name__="a", namespace="models"} @ 5.000 ^ -{__name__="b", namespace="models"}'),
        ('a{x="#1", "#2"=~`#0`}', '{__name__="a", x="#1", "#2"=~"#0", namespace="models"}'),
        ('kube_x{exported_namespace="models"}', '{__name__="kube_x", exported_namespace="models"}'),
    ],
)
def test_the_meaning_stays(query: str, written: str) -> None:
    """All but the matcher is as it was."""
    assert confined(query, "models") == written


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_text_gets_past(query: str) -> None:
    """It is refused, or all of its selectors are confined."""
    try:
        written = confined(query, "models")
    except ConfinementError:
        return
    assert all(map(is_confined, selectors(written)))


def test_the_parser_compiles_no_regex_of_a_user() -> None:
    """So the size of a regex costs the operator nothing, however it is spelled: this one took 18 s and 823 MB."""
    regexes = (r"\\w{200}", r"\x5cw\x7b200}", r"(?i)(\\pL{20}){10}")
    query = "a{" + ",".join(f'x{place}=~"{regexes[place % 3]}"' for place in range(70)) + "}"
    began = time.process_time()
    assert r'x0=~"\\w{200}", x1=~"\\w{200}"' in confined(query, "models")
    assert time.process_time() - began < 1.0


def test_a_text_that_is_no_query_is_refused_as_quickly() -> None:
    """Also where each quote might be the beginning of a string that never ends."""
    began = time.process_time()
    with pytest.raises(ConfinementError, match="the quote at character 1 is not closed"):
        confined('"\\' * 4_096, "models")
    assert time.process_time() - began < 0.2
