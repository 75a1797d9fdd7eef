"""docs/guides.md: what the guides want, and the test that each row names."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
PAGE = (TESTS.parent / "docs" / "guides.md").read_text(encoding="utf-8")
HEADING = "| what the guides want | guide | where it is here | command | test |"
NAMED_TEST = re.compile(r"`((?:unit|contract|e2e|simulation)/[\w/]+\.py)`")


def rows() -> list[list[str]]:
    """The cells of each row below one of the headings."""
    tables = [part.split("\n\n")[0] for part in PAGE.split(HEADING)[1:]]
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_row_names_a_test_that_exists(row: list[str]) -> None:
    """So the table does not promise more than is tested."""
    what, guides, _, command, tests = row
    assert what
    assert set(guides.split()) <= set("SADEI")
    named = NAMED_TEST.findall(tests)
    assert [name for name in named if not (TESTS / name).is_file()] == []
    assert named or not command, f"no test: {row}"


def test_all_tables_are_read() -> None:
    """The test above would pass if no row were found."""
    assert len(rows()) > 60
