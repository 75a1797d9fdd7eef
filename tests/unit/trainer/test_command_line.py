import json
from pathlib import Path

import pytest
import skops.io

from sluice_trainer.__main__ import main


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--trees", "0"], "'0' is not a whole number of 1 or more"),
        (["--max-depth", "two"], "'two' is not a whole number of 1 or more"),
        (["--label-noise", "1.5"], "'1.5' is not a share between 0 and 1"),
        (["--label-noise", "nan"], "'nan' is not a share between 0 and 1"),
        (["--alias", "latest"], "'latest' is not an alias"),
        (["--alias", "v3"], "'v3' is not an alias"),
        (["--name", "iris/3"], "'iris/3' is not a model name"),
        (["--output", "/nowhere/model.skops"], "'/nowhere/model.skops' cannot be written"),
    ],
)
def test_a_wrong_flag_is_an_error_with_its_value(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with exit code 2 before the training starts."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *flags])

    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_model_is_trained_without_any_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are there, and the last line is the path of the model."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    model, metrics = tmp_path / "model.skops", tmp_path / "metrics.json"
    flags = ["--no-register", "--trees", "5", "--output", str(model), "--metrics", str(metrics)]
    assert main(["train", *flags]) == 0
    assert capsys.readouterr().out == f"{model}\n"
    assert skops.io.get_untrusted_types(file=model) == ["sklearn.tree._tree.Tree"]
    assert json.loads(metrics.read_text())["total"] == 45


def test_a_model_that_nobody_would_get_is_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a registry nor a file."""
    assert main(["train", "--no-register"]) == 2
    assert "--output" in capsys.readouterr().err
