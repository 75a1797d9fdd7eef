"""manifests/retraining: one CronJob for each week, and one that is only copied, when an alert fires."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_trainer.__main__ import parser

ROOT = Path(__file__).parents[3]
FILE = ROOT / "manifests" / "retraining" / "iris.yaml"
WEEKLY, URGENT = yaml.safe_load_all(FILE.read_text(encoding="utf-8"))


def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    return dict(cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"])


def test_the_weekly_one_runs_on_sundays_at_two() -> None:
    """The fields are minute, hour, day, month and day of the week."""
    assert WEEKLY["spec"]["schedule"] == "0 2 * * 0"
    assert WEEKLY["spec"]["timeZone"] == "Etc/UTC"
    assert "suspend" not in WEEKLY["spec"]


def test_the_urgent_one_never_runs_by_itself() -> None:
    """It is what `kubectl create job --from` copies, as the runbooks say."""
    assert URGENT["spec"]["suspend"] is True
    runbooks = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    assert URGENT["metadata"]["name"].replace("iris", "NAME") in runbooks


def test_they_differ_in_one_flag_alone() -> None:
    """All other arguments are for the same model, so a copy does what is tested every week."""
    [weekly], [urgent] = pod(WEEKLY)["containers"], pod(URGENT)["containers"]
    assert set(urgent["args"]) - set(weekly["args"]) == {"--urgent"}
    assert pod(URGENT) == {**pod(WEEKLY), "containers": [{**weekly, "args": urgent["args"]}]}


@pytest.mark.parametrize(("cron_job", "urgent"), [(WEEKLY, False), (URGENT, True)])
def test_the_trainer_takes_the_arguments(cron_job: dict[str, Any], urgent: bool) -> None:
    arguments = parser().parse_args(pod(cron_job)["containers"][0]["args"])
    assert (arguments.name, arguments.urgent) == ("iris", urgent)


def test_data_that_are_not_good_enough_are_not_tried_again() -> None:
    """Exit code 1 ends the Job; 2 is mostly something that was down."""
    [rule] = WEEKLY["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [1])
    assert pod(WEEKLY)["restartPolicy"] == "Never"  # Kubernetes refuses the rule otherwise
