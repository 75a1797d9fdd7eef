"""`kubectl sluice wait` as a pipeline runs it, and the report that it writes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Unresolved
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import Abandoned, HistoryEntry, Result, Status, Verdict, dump
from sluice_operator.cli import markdown_report, wait_command
from sluice_operator.cli.cluster import CommandError
from sluice_operator.cli.ending import Ending, ended, pinned
from tests.unit.sluice_operator.build import (
    FAIL,
    NOW,
    PASS,
    again,
    an_observation,
    raw_spec,
    resolved,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    watching,
)
from tests.unit.sluice_operator.cli.terminal import Terminal, a_record

OF_2 = "models:/iris/2"


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Terminal(tmp_path, capsys)


def wait(terminal: Terminal, *arguments: str, shown: list[Status] | None = None) -> int:
    """Run the verb. At each pause the object gets the next status; without one, hours go by."""
    parser = argparse.ArgumentParser()
    wait_command.add(parser.add_subparsers())
    options = parser.parse_args(["wait", "iris", "-n", "models", *arguments])
    statuses: Iterator[Status] = iter(shown or [])
    time = 0.0

    def pause(seconds: float) -> None:
        nonlocal time
        if (status := next(statuses, None)) is None:
            time += 36_000
        else:
            time += seconds
            terminal.set_object(options.spec, dump(status))

    options.spec = raw_spec()
    return wait_command.run(options, pause, lambda: time)


def status_of(seen: Observation, **changes: Any) -> Status:
    """What the operator writes after this observation."""
    return again(seen, **changes).status


def rejected() -> Status:
    """Version 2 has failed, and its weight of 0 is live: version 1 is stable."""
    over = again(rolling_back(), weight=None)
    while over.status.phase != "Stable":
        over = again(over, after=700.0)
    return status_of(over)


def test_a_promoted_version_ends_the_wait_with_code_0(terminal: Terminal) -> None:
    """Not before the watch after the promotion is over."""
    terminal.set_object(raw_spec(), dump(status_of(stepping(verdict=PASS))))
    shown = [status_of(watching()), status_of(stable_on(2))]
    assert wait(terminal, "--model", OF_2, shown=shown) == 0
    printed = terminal.printed()
    assert [line.split()[1].rstrip(":,") for line in printed.splitlines()[:3]] == ["Stepping", "Watching", "Stable"]
    assert printed.splitlines()[-1].startswith("models:/iris/2 serves: ")


def test_a_rejected_version_ends_the_wait_with_code_1(terminal: Terminal) -> None:
    """And the last line says why."""
    terminal.set_object(raw_spec(), dump(status_of(stepping(verdict=FAIL))))
    assert wait(terminal, "--model", OF_2, shown=[rejected()]) == 1
    assert "errors 5% breaks its limit" in terminal.printed().splitlines()[-1]


def test_a_rollout_that_is_not_over_in_time_has_a_code_of_its_own(terminal: Terminal) -> None:
    """A pipeline can tell it from a rejection. Nothing is changed: the rollout goes on."""
    terminal.set_object(raw_spec(), dump(status_of(stepping())))
    assert wait(terminal, "--timeout", "1h") == 3
    assert "not over after 1h" in terminal.printed()
    assert {call.split()[0] for call in terminal.kubectl_calls} == {"get"}


def test_a_short_outage_of_the_api_server_does_not_end_the_wait(terminal: Terminal) -> None:
    """One that lasts does."""
    terminal.set_object(raw_spec(), dump(status_of(stepping())))
    before = (terminal.folder / "object").read_text()
    parser = argparse.ArgumentParser()
    wait_command.add(parser.add_subparsers())
    options = parser.parse_args(["wait", "iris", "--timeout", "10h"])
    looks = 0

    def outage(seconds: float) -> None:
        nonlocal looks
        looks += 1
        (terminal.folder / "object").unlink(missing_ok=True)
        if looks == 5:
            terminal.set_object(raw_spec(), dump(status_of(stable_on(1))))

    assert wait_command.run(options, outage, lambda: 0.0) == 0
    (terminal.folder / "object").write_text(before)
    looks = 10
    with pytest.raises(CommandError):
        wait_command.run(options, outage, lambda: 0.0)


def test_a_uri_that_moves_is_refused_as_the_version_to_wait_for(terminal: Terminal) -> None:
    """Whoever waits for an alias does not know what was tested."""
    code, _, error = terminal.run("wait", "iris", "--model", "models:/iris@champion")
    assert code == 2
    assert "write models:/NAME/VERSION" in error


@pytest.mark.parametrize(
    ("uri", "expected"),
    [(OF_2, OF_2), ("models:/m-0af", "models:/m-0af"), ("runs:/ab/model", "runs:/ab/model")]
    + [(uri, "") for uri in ("models:/iris@a", "models:/iris/latest", "models:/iris/Production")],
)
def test_only_a_uri_that_names_one_version_for_ever_is_waited_for(uri: str, expected: str) -> None:
    """An alias that is called like a number is none."""
    assert pinned(uri) == expected


def history(model: str, outcome: Outcome) -> HistoryEntry:
    return HistoryEntry(revision(2).revision, model, outcome, "Newer", NOW, NOW)


@pytest.mark.parametrize(
    ("seen", "generation", "model", "expected"),
    [
        pytest.param(stable_on(2), 1, OF_2, True, id="it serves"),
        pytest.param(stable_on(2), 1, "", True, id="whatever serves"),
        pytest.param(stable_on(2), 2, OF_2, None, id="the operator has not seen the new spec"),
        pytest.param(stable_on(1), 1, OF_2, None, id="the operator has not seen the new version"),
        pytest.param(starting(), 1, OF_2, None, id="it starts"),
        pytest.param(watching(), 1, OF_2, None, id="it is watched"),
        pytest.param(an_observation(resolution=None), 1, "", None, id="nothing is known yet"),
    ],
)
def test_the_wait_is_over_when_the_version_serves(
    seen: Observation, generation: int, model: str, expected: bool | None
) -> None:
    """And the operator has seen what was applied."""
    over = ended(generation, status_of(seen), model, ())
    assert (over.serves if over else None) == expected


def test_a_version_that_was_rejected_before_is_told_at_once() -> None:
    """It is not tried again as it is, so nobody would end the wait. So is any version, if none is named."""
    status = rejected()
    for model in (OF_2, ""):
        over = ended(1, status, model, status.history)
        assert over is not None
        assert not over.serves
        assert "kubectl sluice retry" in over.message


def test_what_waits_for_a_person_is_over() -> None:
    """A version that the registry does not have, for example."""
    lost = stable_on(1, resolution=Unresolved("VersionNotFound", "iris has no version 9"))
    over = ended(1, status_of(lost), "models:/iris/9", ())
    assert over == Ending(False, "it waits for a person (VersionNotFound)", "iris has no version 9")


def test_a_first_version_that_is_refused_is_over() -> None:
    """Nothing serves, and no other version is tried by itself."""
    first = an_observation(resolution=resolved(1))
    refused = replace(again(first).status, run=replace(_run(first), outcome=Outcome.REJECTED, message="no signature"))
    assert ended(1, refused, "", ()) == Ending(False, "models:/iris/1 was rejected", "no signature")


def _run(first: Observation) -> Any:
    return again(first).status.run


def test_a_version_that_a_newer_one_replaced_is_over() -> None:
    """If that happened since the wait began; an earlier run of it says nothing."""
    superseded = history(OF_2, Outcome.SUPERSEDED)
    status = replace(status_of(stable_on(3)), history=(superseded,))
    over = ended(1, status, OF_2, ())
    assert over is not None
    assert over.title == f"{OF_2} does not serve: Superseded (Newer)"
    assert ended(1, status, OF_2, (superseded,)) is None


def test_a_version_that_is_tried_later_ends_the_wait() -> None:
    """Nobody knows whether it will serve: a pipeline does not wait for another try."""
    status = status_of(stable_on(1))
    later = "models:/iris/2 is tried again at 12:10 UTC"
    conditions = tuple(
        replace(each, reason="Abandoned", message=later) if each.type == "Stalled" else each
        for each in status.conditions
    )
    abandoned = Abandoned(revision(2).revision, "NoCapacity", "no node has room")
    waits = replace(status, abandoned=abandoned, conditions=conditions, history=(history(OF_2, Outcome.ABANDONED),))
    over = ended(1, waits, OF_2, waits.history)
    assert over == Ending(False, f"{OF_2} was given up for now (NoCapacity)", f"no node has room; {later}")


def test_the_report_has_the_last_verdict_of_the_run(terminal: Terminal, tmp_path: Path) -> None:
    """Out of the run record: status has no verdict any more when a run is over."""
    record = a_record(bad=0.3)
    name = f"iris-run-{record.run.id}"
    status = rejected()
    terminal.set_records(record)
    terminal.set_object(raw_spec(), dump(replace(status, history=(replace(status.history[0], record=name),))))
    assert wait(terminal, "--model", OF_2, "--report", str(tmp_path / "report.md")) == 1
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    objectives = record.last_evaluation.verdict.objectives
    assert report.startswith("### ❌ iris: ")
    assert f"kubectl sluice replay iris -n models --run {name}" in report
    assert f"Last verdict: **{record.last_evaluation.verdict.result}**" in report
    assert [line.split("|")[1].strip() for line in report.splitlines() if line.startswith("| ")][2:] == [
        objective.name for objective in objectives
    ]


HOSTILE = "<img src=x> [a](https://evil.example) **b** `c` | d\n# e @jane #1 www.evil.example &lt;"


def test_the_report_shows_words_of_others_as_text() -> None:
    """No link, no picture, no mention, no heading and no column of a table can come of them."""
    shown = markdown_report.text(HOSTILE)
    assert not set("<>[]`*|\n") & set(shown)
    assert "://" not in shown
    assert "@jane" not in shown
    assert "www.evil" not in shown
    verdict = Verdict(Result.FAIL, HOSTILE, HOSTILE)
    page = markdown_report.page("iris", "models", Status(), Ending(False, HOSTILE, HOSTILE), verdict)
    assert HOSTILE.splitlines()[0] not in page
    assert sum(line.startswith("#") for line in page.splitlines()) == 1
