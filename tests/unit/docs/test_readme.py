"""README.md: the figures that it takes from other pages are theirs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SIMULATED = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
RUNS_WITH_CLUMPS = 300  # of each cell


def test_the_simulated_rates_are_those_of_the_simulation() -> None:
    """Of equal versions, of those with clumps (but for those that begin with the run), and of those at the margin."""
    rows = re.findall(r"^\| false rollback .*?\(([\d,]+) of ([\d,]+);", SIMULATED, re.MULTILINE)
    wrong, runs = (sum(int(row[at].replace(",", "")) for row in rows) for at in (0, 1))
    table = SIMULATED.split("## Bad requests that come in clumps")[1].split("\n\n")[2].splitlines()[2:-1]
    shares = [float(share) for row in table for share in row.strip("| ").split("|")[1].split("/")]
    clumped = sum(round(share / 100 * RUNS_WITH_CLUMPS) for share in shares)
    [(passed, at_margin)] = re.findall(r"exactly at the margin [\d.]+ % \((\d+) of ([\d,]+);", SIMULATED)
    text = " ".join(README.split())
    assert f"{wrong} of {runs:,} versions as good as stable were rolled back" in text
    assert f"with clumps {clumped} of {RUNS_WITH_CLUMPS * len(shares):,}, and {passed} of {at_margin} exactly" in text
