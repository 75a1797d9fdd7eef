"""Which lines of a model's requirements.txt an image meets."""

from __future__ import annotations

import pytest

from sluice_server.runtimes.requirements import unmet

IMAGE = {"pandas": "3.1.1", "scikit-learn": "1.9.1", "statsmodels": "0.14.4", "mlflow": "3.17.2", "my-tool": "2.0"}


@pytest.mark.parametrize(
    "line",
    [
        "pandas==3.1.1",
        "pandas==3.0.0",
        "pandas<4",
        "pandas",
        "scikit_learn==1.2.0",
        "statsmodels==0.14.0",
        "mlflow==2.22.0",
        "My.Tool",
        "prophet==1.1; python_version < '3'",
        "# prophet==1.1",
        "pandas==3.0.0  # as in training",
        "pandas==3.0.0 --hash=sha256:00",
        "--extra-index-url https://packages.example/simple",
        "./wheels/tool.whl",
        "",
    ],
)
def test_a_package_of_the_same_major_version_is_enough(line: str) -> None:
    """MLflow pins the patch version of the training; a line that names no package says nothing."""
    assert unmet([line], IMAGE) == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("prophet==1.1", "prophet==1.1 (missing)"),
        ("pandas==2.2.3", "pandas==2.2.3 (here: 3.1.1)"),
        ("pandas~=2.1", "pandas~=2.1 (here: 3.1.1)"),
        ("statsmodels==0.13.2", "statsmodels==0.13.2 (here: 0.14.4)"),
        ("pandas==2.*", "pandas==2.* (here: 3.1.1)"),
    ],
)
def test_what_is_missing_or_another_major_version_is_told_with_both(line: str, told: str) -> None:
    """Below 1.0 the minor version counts as the major one."""
    assert unmet(["scikit-learn==1.9.1", line], IMAGE) == (told,)


def test_the_same_package_for_processors_alone_is_enough() -> None:
    """XGBoost has two names, of which the image has the smaller one; MLflow writes that of the training."""
    for here, asked in (("xgboost-cpu", "xgboost"), ("xgboost", "xgboost-cpu")):
        assert unmet([f"{asked}==3.2.0"], {here: "3.2.0"}) == ()
        assert unmet([f"{asked}==2.1.4"], {here: "3.2.0"}) == (f"{asked}==2.1.4 (here: 3.2.0)",)
    assert unmet(["xgboost==3.2.0"], IMAGE) == ("xgboost==3.2.0 (missing)",)
