"""`python -m sluice_trainer validate` as a workflow calls it."""

import json
from pathlib import Path

import pytest

from sluice_trainer import validate_command
from sluice_trainer.__main__ import main


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"columns": [{"name": "x", "type": "number", "min": 0}], "rows": 4}))
    return path


def test_the_sample_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """The iris data have the full score, and `--json` says so to a script."""
    assert main(["validate", "--sample", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 150, "score": 100.0, "findings": [], "good": True}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_score_that_is_too_low_is_exit_code_1(
    tmp_path: Path, schema: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With each finding in a line, and a lower `--min-score` accepts it."""
    data = tmp_path / f"data.{suffix}"
    table = validate_command.sample()[:4].assign(x=[1, -1, 2, -2])[["x"]]
    table.to_csv(data, index=False) if suffix == "csv" else table.to_parquet(data)
    flags = ["validate", "--data", str(data), "--schema", str(schema)]
    assert main(flags) == 1
    assert capsys.readouterr().out == "x: 2 values are below 0\nscore 50.0 of 4 rows, too low (80)\n"
    assert main([*flags, "--min-score", "50"]) == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [("missing.csv", "No such file"), ("data.txt", "neither .csv nor .parquet"), ("empty.csv", "No columns")],
)
def test_data_that_cannot_be_read_is_exit_code_2(
    tmp_path: Path, schema: Path, data: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says why."""
    (tmp_path / "empty.csv").touch()
    assert main(["validate", "--data", str(tmp_path / data), "--schema", str(schema)]) == 2
    assert words in capsys.readouterr().err


def test_data_without_a_schema_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing would be checked."""
    assert main(["validate", "--data", str(tmp_path / "data.csv")]) == 2
    assert "--schema" in capsys.readouterr().err
