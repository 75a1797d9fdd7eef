"""`kubectl sluice` with a Prometheus: backtests and forecasts."""

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
from sluice_operator.api.run import Run
from sluice_operator.cli.forecast_command import expected
from sluice_operator.rollout.automatic_steps import steps_for
from tests.unit.sluice_operator.build import raw_spec, stable_on, stepping
from tests.unit.sluice_operator.cli.terminal import PrometheusServer, Terminal
from tests.unit.sluice_operator.fake_prometheus import CANARY, INTERVAL, STABLE, START, FakePrometheus, pod
from tests.unit.sluice_operator.recorded import OBJECTIVES


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Terminal(tmp_path, capsys)


def two_hours(bad: float = 0.0, canary: int = 20) -> FakePrometheus:
    """One pod of each revision. The canary finishes `canary` requests per scrape, stable 180."""
    prometheus = FakePrometheus()
    scrapes = int(7200 / INTERVAL)
    pod(prometheus, [canary * k for k in range(scrapes)], bad=bad)
    pod(prometheus, [180 * k for k in range(scrapes)], since=-29, pod_uid="s", revision=STABLE)
    return prometheus


def policy(terminal: Terminal, **changes: Any) -> str:
    """The path of a file with a ModelDeployment."""
    path = terminal.folder / "policy.yaml"
    wanted = raw_spec(objectives=OBJECTIVES[:2], **changes)
    path.write_text(
        yaml.safe_dump({"kind": names.KIND, "metadata": {"name": "iris", "namespace": "models"}, "spec": wanted})
    )
    return str(path)


def backtest(terminal: Terminal, prometheus: FakePrometheus, *more: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a backtest over twenty minutes."""
    since, until = (datetime.fromtimestamp(START + at, UTC).isoformat() for at in (600, 1800))
    ends = ("--since", since, "--until", until, "--scrape-interval", "10s")
    with PrometheusServer(prometheus) as address:
        revisions = ("--canary", CANARY, "--stable", STABLE)
        return terminal.run("replay", "--prometheus", address, "-f", policy(terminal), *revisions, *ends, *more)


def test_a_backtest_shows_when_each_step_would_have_been_passed(terminal: Terminal) -> None:
    """It judges what two revisions did at the same time."""
    code, out, err = backtest(terminal, two_hours())
    assert (code, err) == (0, "")
    first, second, verdict = out.split("\n\n")[1].splitlines()
    assert first.startswith("step of weight 10 would have been passed at ")
    assert second.startswith("step of weight 50 would have been passed at ")
    assert "Pass (Passed)" in verdict
    assert {line.split()[2] for line in out.split("\n\n")[0].splitlines()[1:]} == {"10%"}


def test_a_backtest_that_fails_has_exit_code_1(terminal: Terminal) -> None:
    """A report can be written, as of a run."""
    path = terminal.folder / "report.html"
    code, out, _ = backtest(terminal, two_hours(bad=0.3), "--report", str(path))
    assert code == 1
    assert "Fail (ErrorRate" in out
    assert path.exists()


def test_option_ticks_of_a_backtest_shows_each_passed_step_and_a_fail(terminal: Terminal) -> None:
    """They have the times of the sentences below the table."""
    _, out, _ = backtest(terminal, two_hours(), "--ticks")
    table, _, conclusion = out.split("\n\n")
    decided = [line for line in table.splitlines() if "<-" in line]
    assert [line.split("<- ")[1] for line in decided] == ["step of weight 10 passed", "step of weight 50 passed"]
    for line, sentence in zip(decided, conclusion.splitlines(), strict=False):
        assert f"at {line.split()[0]}" in sentence
    _, out, _ = backtest(terminal, two_hours(bad=0.3), "--ticks")
    assert [line.split("<- ")[1] for line in out.splitlines() if "<-" in line] == ["Fail"]


def test_a_backtest_without_requests_is_an_error(terminal: Terminal) -> None:
    """Its message has the names that were given."""
    code, _, err = backtest(terminal, FakePrometheus())
    assert (code, f"knows no requests of revisions {CANARY} and {STABLE} of models/iris" in err) == (2, True)


def test_a_policy_without_steps_is_an_error(terminal: Terminal) -> None:
    """All requests would have moved at once: there is nothing to forecast or to try on the past."""
    at_once = {**raw_spec()["rollout"], "canary": {}, "blueGreen": {}}
    terminal.set_object(raw_spec(rollout=at_once), status.dump(stable_on(1).status))
    asked = ("--prometheus", "http://localhost:1")
    ends = ("--since", "2h", "--canary", CANARY, "--stable", STABLE)
    for command in (("forecast", "iris"), ("replay", "-f", policy(terminal, rollout=at_once), *ends)):
        code, _, err = terminal.run(*command, *asked)
        assert (code, "has rollout.blueGreen" in err) == (2, True)


def test_a_policy_gets_its_defaults_from_the_api_server(terminal: Terminal) -> None:
    """A file that a person writes leaves out most fields."""
    path = Path(policy(terminal))
    sparse = yaml.safe_load(path.read_text())
    del sparse["spec"]["rollout"]
    path.write_text(yaml.safe_dump(sparse))
    with PrometheusServer(two_hours()) as address:
        ends = ("--since", "2h", "--canary", CANARY, "--stable", STABLE)
        terminal.run("replay", "--prometheus", address, "-f", str(path), *ends)
    [call] = terminal.kubectl_calls
    assert call.startswith(f"apply --dry-run=server --filename={path} ")


def forecast(terminal: Terminal, prometheus: FakePrometheus, now: float) -> tuple[Run, Outlook | None]:
    body = json.loads((terminal.folder / "object").read_text())
    wanted, current = spec.parse(body["spec"]), status.parse(body["status"])
    return asyncio.run(
        expected(prometheus, ("models", "iris"), wanted, current, datetime.fromtimestamp(START + now, UTC))
    )


def test_a_forecast_without_a_run_is_for_the_present_spec(terminal: Terminal) -> None:
    """Automatic steps follow from the request rate, and evidence from what stable did."""
    rollout = {**raw_spec()["rollout"], "canary": {}}
    terminal.set_object(raw_spec(objectives=OBJECTIVES[:1], rollout=rollout), status.dump(stable_on(1).status))
    run, outlook = forecast(terminal, two_hours(canary=0), 3600)
    assert outlook is not None
    assert outlook.rate == pytest.approx(18, rel=0.05)
    assert run.steps == steps_for(outlook.rate)
    assert outlook.forecast.slowest == "errors"
    assert outlook.margin_factor == 1


def test_a_forecast_has_the_past_that_the_operator_has(terminal: Terminal) -> None:
    """Six hours: an hour does not tell as well that errors do not come in clumps, and a verdict would seem slower."""
    terminal.set_object(raw_spec(objectives=OBJECTIVES[:1]), status.dump(stable_on(1).status))
    prometheus, scrapes = FakePrometheus(), int(6.1 * 3600 / INTERVAL)
    pod(prometheus, [180 * k for k in range(scrapes)], bad=0.01, pod_uid="s", revision=STABLE)
    _, outlook = forecast(terminal, prometheus, 6 * 3600)
    assert outlook is not None
    assert outlook.divisor < 1.05


def test_a_forecast_of_a_run_takes_the_frozen_steps_and_objectives(terminal: Terminal) -> None:
    """Those of the spec may have changed since."""
    terminal.set_object(raw_spec(objectives=[]), status.dump(stepping().status))
    run, outlook = forecast(terminal, two_hours(), 3600)
    assert outlook is not None
    assert run == stepping().status.run
    assert outlook.rate == pytest.approx(20, rel=0.05)


def test_a_forecast_is_printed_by_step(terminal: Terminal) -> None:
    """With the deadline; or the error says that there are too few requests."""
    prometheus = FakePrometheus()
    with PrometheusServer(prometheus) as address:
        code, _, err = terminal.run("forecast", "iris", "--prometheus", address)
    assert (code, "too few for a forecast" in err) == (2, True)
    since = datetime.now(UTC).timestamp() - START - 3600
    for k in range(400):
        prometheus.scrape(since + 10 * k, 200 * k, pod_uid="s", revision=stable_on(1).status.stable.revision)  # type: ignore[union-attr]
    with PrometheusServer(prometheus) as address:
        code, out, _ = terminal.run("forecast", "iris", "--prometheus", address)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[:3]] == [["STEP", "WEIGHT"], ["1", "10%"], ["2", "50%"]]
    assert "the deadline is 4h" in out
    with PrometheusServer(prometheus) as address:
        code, _, err = terminal.run("forecast", "iris", "--prometheus", address, "--at", "3h")
    assert (code, "fewer than 100 requests of the six hours before" in err) == (2, True)
    assert terminal.run("forecast", "iris", "--prometheus", address, "--at", "noon")[0] == 2


@pytest.mark.parametrize("verb", ["replay", "forecast"])
def test_option_credentials_authenticates_the_requests(terminal: Terminal, verb: str) -> None:
    """With the files that the operator also uses. If one is wrong, its secret is not shown and no request is sent."""
    folder = terminal.folder / "credentials"
    folder.mkdir()
    server = PrometheusServer(two_hours())
    with server as address:
        common = ("--prometheus", address, "--credentials", str(folder))
        options = {
            "replay": ("-f", policy(terminal), "--canary", CANARY, "--stable", STABLE, "--since", "1h"),
            "forecast": ("iris",),
        }
        (folder / "token").write_text("hidden hidden")
        code, _, err = terminal.run(verb, *common, *options[verb])
        assert (code, server.authorizations) == (2, [])
        assert f"the credentials in {folder} cannot be used: token has a space" in err
        assert "hidden" not in err
        (folder / "token").write_text("abc\n")
        terminal.run(verb, *common, *options[verb])
        assert set(server.authorizations) == {"Bearer abc"}


def test_an_address_with_a_password_is_refused(terminal: Terminal) -> None:
    """It would be in the shell's history and in the list of processes."""
    code, _, err = terminal.run("forecast", "iris", "--prometheus", "http://us:hidden@localhost:9090")
    assert code == 2
    assert err.startswith("kubectl sluice: --prometheus: the URL holds a user or a password")
    assert "hidden" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--since", "0001-01-01"), "'0001-01-01' is no time from 1971 to 2199"),
        (("--since", "9000000h"), "'9000000h' is longer than 1000 years"),
        (("--since", "8000000h"), "'8000000h' is no time from 1971"),
        (("--since", "2h", "--until", "99999999999999h"), "is longer than 1000 years"),
        (("--since", "2h", "--scrape-interval", "0s"), "'0s' is not above 0"),
    ],
)
def test_a_time_that_nobody_has_metrics_of_is_an_error(
    terminal: Terminal, options: tuple[str, ...], words: str
) -> None:
    """Exit code 1 would say that the policy fails."""
    asked = ("replay", "--prometheus", "http://localhost:1", "-f", policy(terminal), "--canary", "a", "--stable", "b")
    code, out, err = terminal.run(*asked, *options)
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"kind: ModelDeployment\nmetadata: {name: a}\n", "without metadata.name or without spec"),
        (b"kind: ModelDeployment\nspec: {}\n", "without metadata.name or without spec"),
        (b"kind: ModelDeployment\nmetadata: a\nspec: {}\n", "without metadata.name or without spec"),
        ("kind: Sørvice".encode("utf-16"), "holds no ModelDeployment"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 5000, "cannot be read"),
    ],
)
def test_a_file_without_a_policy_is_an_error(terminal: Terminal, content: bytes, words: str) -> None:
    """PowerShell writes UTF-16, which is read as well."""
    path = terminal.folder / "policy"
    path.write_bytes(content)
    revisions = ("--canary", "a", "--stable", "b", "--since", "1h")
    code, _, err = terminal.run("replay", "--prometheus", "http://localhost:1", "-f", str(path), *revisions)
    assert (code, words in err) == (2, True), err
