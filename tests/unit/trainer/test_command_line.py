import pytest

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
