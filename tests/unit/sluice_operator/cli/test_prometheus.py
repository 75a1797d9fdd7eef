"""`kubectl sluice` with a Prometheus: a policy tried on the past, and what a run may expect."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_operator.analysis.forecast import Outlook
from sluice_operator.api import names, spec, status
from sluice_operator.api.status import Run
from sluice_operator.cli.forecast_command import expected
from sluice_operator.rollout.automatic_steps import steps_for
from tests.unit.sluice_operator.build import raw_spec, stable_on, stepping
from tests.unit.sluice_operator.cli.terminal import Served, Terminal
from tests.unit.sluice_operator.fake_prometheus import CANARY, INTERVAL, STABLE, START, FakePrometheus, pod
from tests.unit.sluice_operator.recorded import OBJECTIVES


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Terminal(tmp_path, capsys)


def two_hours(bad: float = 0.0, canary: int = 20) -> FakePrometheus:
    """A pod of each arm; the canary finishes so many requests per scrape, stable nine times twenty."""
    prometheus = FakePrometheus()
    scrapes = int(7200 / INTERVAL)
    pod(prometheus, [canary * k for k in range(scrapes)], bad=bad)
    pod(prometheus, [180 * k for k in range(scrapes)], since=-29, pod_uid="s", revision=STABLE)
    return prometheus


def policy(terminal: Terminal, **changes: Any) -> str:
    path = terminal.folder / "policy.yaml"
    wanted = raw_spec(objectives=OBJECTIVES[:2], **changes)
    path.write_text(
        yaml.safe_dump({"kind": names.KIND, "metadata": {"name": "iris", "namespace": "models"}, "spec": wanted})
    )
    return str(path)


def tried(terminal: Terminal, prometheus: FakePrometheus, *more: str) -> tuple[int, str, str]:
    since, until = (datetime.fromtimestamp(START + at, UTC).isoformat() for at in (600, 1800))
    ends = ("--since", since, "--until", until, "--scrape-interval", "10s")
    with Served(prometheus) as address:
        arms = ("--canary", CANARY, "--stable", STABLE)
        return terminal.types("replay", "--prometheus", address, "-f", policy(terminal), *arms, *ends, *more)


def test_a_policy_is_tried_on_the_past(terminal: Terminal) -> None:
    """When each of its steps would have been passed, on what two revisions did side by side."""
    code, out, err = tried(terminal, two_hours())
    assert (code, err) == (0, "")
    first, second, verdict = out.split("\n\n")[1].splitlines()
    assert first.startswith("step of weight 10 would have been passed at ")
    assert second.startswith("step of weight 50 would have been passed at ")
    assert "Pass (Passed)" in verdict
    assert {line.split()[2] for line in out.split("\n\n")[0].splitlines()[1:]} == {"10%"}


def test_a_policy_that_would_have_failed_says_when(terminal: Terminal) -> None:
    """Exit code 1, and a report of it is the same as of a run."""
    path = terminal.folder / "report.html"
    code, out, _ = tried(terminal, two_hours(bad=0.3), "--report", str(path))
    assert code == 1
    assert "Fail (ErrorRate" in out
    assert path.exists()


def test_every_tick_of_the_past_says_where_a_step_would_have_been_passed(terminal: Terminal) -> None:
    """And what the verdict would have been at the last one."""
    _, out, _ = tried(terminal, two_hours(), "--ticks")
    table, told = out.split("\n\n")
    decided = [line for line in table.splitlines() if "<-" in line]
    assert [line.split("<- ")[1] for line in decided] == ["step of weight 10 passed", "step of weight 50 passed"]
    for line, sentence in zip(decided, told.splitlines(), strict=False):
        assert f"at {line.split()[0]}" in sentence
    _, out, _ = tried(terminal, two_hours(bad=0.3), "--ticks")
    assert [line.split("<- ")[1] for line in out.splitlines() if "<-" in line] == ["Fail"]


def test_a_time_of_which_prometheus_knows_nothing_is_told(terminal: Terminal) -> None:
    """With the names that were asked for."""
    code, _, err = tried(terminal, FakePrometheus())
    assert (code, f"knows no requests of revisions {CANARY} and {STABLE} of models/iris" in err) == (2, True)


def test_a_policy_gets_its_defaults_from_the_api_server(terminal: Terminal) -> None:
    """A file as a person writes it leaves out most fields."""
    path = Path(policy(terminal))
    sparse = yaml.safe_load(path.read_text())
    del sparse["spec"]["rollout"]
    path.write_text(yaml.safe_dump(sparse))
    with Served(two_hours()) as address:
        ends = ("--since", "2h", "--canary", CANARY, "--stable", STABLE)
        terminal.types("replay", "--prometheus", address, "-f", str(path), *ends)
    assert terminal.asked == [f"apply --dry-run=server --filename={path} --output=json"]


def forecast(terminal: Terminal, prometheus: FakePrometheus, now: float) -> tuple[Run, Outlook | None]:
    body = json.loads((terminal.folder / "object").read_text())
    wanted, current = spec.parse(body["spec"]), status.parse(body["status"])
    return asyncio.run(
        expected(prometheus, ("models", "iris"), wanted, current, datetime.fromtimestamp(START + now, UTC))
    )


def test_a_forecast_without_a_run_takes_the_spec_and_stable_s_shares(terminal: Terminal) -> None:
    """Automatic steps follow from the rate."""
    rollout = {**raw_spec()["rollout"], "canary": {}}
    terminal.has_object(raw_spec(objectives=OBJECTIVES[:1], rollout=rollout), status.dump(stable_on(1).status))
    run, outlook = forecast(terminal, two_hours(canary=0), 3600)
    assert outlook is not None
    assert outlook.rate == pytest.approx(18, rel=0.05)
    assert run.steps == steps_for(outlook.rate)
    assert outlook.forecast.slowest == "errors"
    assert outlook.wider == 1


def test_a_forecast_of_a_run_takes_the_run_s_terms(terminal: Terminal) -> None:
    """Its steps and objectives as they were frozen, whatever the spec says now."""
    terminal.has_object(raw_spec(objectives=[]), status.dump(stepping().status))
    run, outlook = forecast(terminal, two_hours(), 3600)
    assert outlook is not None
    assert run == stepping().status.run
    assert outlook.rate == pytest.approx(20, rel=0.05)


def test_a_forecast_is_printed_by_step(terminal: Terminal) -> None:
    """With the slowest objective and the deadline; or that there is too little to tell."""
    prometheus = FakePrometheus()
    with Served(prometheus) as address:
        code, _, err = terminal.types("forecast", "iris", "--prometheus", address)
    assert (code, "too little to tell" in err) == (2, True)
    since = datetime.now(UTC).timestamp() - START - 3600
    for k in range(400):
        prometheus.scrape(since + 10 * k, 200 * k, pod_uid="s", revision=stable_on(1).status.stable.revision)  # type: ignore[union-attr]
    with Served(prometheus) as address:
        code, out, _ = terminal.types("forecast", "iris", "--prometheus", address)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[:3]] == [["STEP", "WEIGHT"], ["1", "10%"], ["2", "50%"]]
    assert "the deadline is 4h" in out
    with Served(prometheus) as address:
        code, _, err = terminal.types("forecast", "iris", "--prometheus", address, "--at", "3h")
    assert (code, "less than 100 requests of that hour" in err) == (2, True)
    assert terminal.types("forecast", "iris", "--prometheus", address, "--at", "noon")[0] == 2


@pytest.mark.parametrize("verb", ["replay", "forecast"])
def test_a_folder_says_who_asks(terminal: Terminal, verb: str) -> None:
    """As the operator's does; what is wrong with it is told, and then nobody is asked."""
    folder = terminal.folder / "credentials"
    folder.mkdir()
    served = Served(two_hours())
    with served as address:
        asked = ("--prometheus", address, "--credentials", str(folder))
        of_verb = {
            "replay": ("-f", policy(terminal), "--canary", CANARY, "--stable", STABLE, "--since", "1h"),
            "forecast": ("iris",),
        }
        (folder / "token").write_text("hidden hidden")
        code, _, err = terminal.types(verb, *asked, *of_verb[verb])
        assert (code, served.asked_by) == (2, [])
        assert f"the credentials in {folder} cannot be used: token has a space" in err
        assert "hidden" not in err
        (folder / "token").write_text("abc\n")
        terminal.types(verb, *asked, *of_verb[verb])
        assert set(served.asked_by) == {"Bearer abc"}


def test_an_address_with_a_password_is_refused(terminal: Terminal) -> None:
    """It would stay in the shell's history, and in the list of processes."""
    code, _, err = terminal.types("forecast", "iris", "--prometheus", "http://us:hidden@localhost:9090")
    assert code == 2
    assert err.startswith("kubectl sluice: --prometheus: the URL holds a user or a password")
    assert "hidden" not in err
