"""`python -m sluice_trainer evaluate`, as far as it goes without MLflow."""

import pytest

from sluice_trainer import evaluate_command, paired
from sluice_trainer.__main__ import main


@pytest.mark.parametrize("uri", ["iris", "models:/iris", "models:/iris/Production", "runs:/abc/model", "models:/a/b@c"])
def test_a_uri_that_names_no_version_is_refused(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before MLflow is asked, and with what to write."""
    assert main(["evaluate", "--candidate", uri]) == 2
    assert f"'{uri}' names no version: write models:/NAME/VERSION or models:/NAME@ALIAS" in capsys.readouterr().err


def test_the_text_has_the_numbers_and_ends_with_the_verdict() -> None:
    compared = paired.Compared(total=45, candidate=44, champion=38, only_candidate=7, only_champion=1)
    assert evaluate_command.as_text(compared, "models:/iris/2", "models:/iris/1").splitlines() == [
        "of 45 rows, models:/iris/2 has 44 right and models:/iris/1 38",
        "only models:/iris/2 is right for 7, only models:/iris/1 for 1: if both were equally good, chance would divide "
        "so unevenly with probability 0.07",
        "cannot tell (limit 0.05)",
    ]
