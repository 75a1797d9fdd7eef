"""What the benchmark of the model server makes of wrk's figures."""

import pytest

from dev.bench.server import table, wrk
from dev.bench.server.table import Point, Start
from dev.bench.server.wrk import Load

PRINTED = """
Running 1s test @ http://127.0.0.1:1/predict
FOUND 2000 1000000 500 4000 0
"""


def test_a_load_is_read_from_what_wrk_prints() -> None:
    """Requests per second, seconds per request, and the server's seconds of processor time for each."""
    assert wrk.parse(PRINTED, 0.5) == Load(2000, 0.0005, 0.004, 0.00025)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("unable to connect", "gave no result: unable to connect"),
        ("FOUND 2000 1000000 500 4000 3", "3 requests failed, 2000 were answered"),
        ("FOUND 0 1000000 0 0 0", "no request was answered within 1.0 s"),
        ("FOUND 0 1000000 0 0 32", "32 requests failed, 0 were answered"),
    ],
)
def test_a_load_with_failed_requests_is_no_figure(text: str, reason: str) -> None:
    """Refusing is always faster than answering."""
    with pytest.raises(RuntimeError, match=reason):
        wrk.parse(text, 0.5)


def test_each_figure_stands_beside_the_floor_of_the_same_seconds() -> None:
    """A machine that becomes slow in one round changes no ratio."""
    quiet = Load(1000, 0.001, 0.002, 0.0001), Load(500, 0.0015, 0.006, 0.0002)
    slow = Load(100, 0.010, 0.020, 0.0001), Load(50, 0.015, 0.060, 0.0002)
    text = table.loads([Point("ours", "forest", 1, 32, [quiet, slow, quiet])])
    assert text.splitlines()[-1] == ("| ours | forest | 1 | 32 | 500 | 50.0% | 1.50 | 1.50 | 6.00 | 3.00 | 200 | 100 |")
    assert table.starts([Start("ours", "forest", 1.234, 5 * 2**20)]).endswith("| ours | forest | 1.23 | 5 |")
