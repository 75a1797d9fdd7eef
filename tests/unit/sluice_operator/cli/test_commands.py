"""`kubectl sluice history` and `replay` as a person runs them."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.status import Result, Verdict
from sluice_operator.records.replay import replayed
from tests.unit.sluice_operator.cli.terminal import Terminal, a_record, config_map
from tests.unit.sluice_operator.recorded import BEGAN


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Terminal(tmp_path, capsys)


def test_history_lists_the_records(terminal: Terminal) -> None:
    """The newest first, with how each run ended."""
    old, new = a_record(), a_record(bad=0.3, id="bbbbbbbbbb-1772373600", started_at=BEGAN.replace(hour=14))
    terminal.has_records(old, new)
    code, out, _ = terminal.types("history", "iris", "-n", "models")
    heading, first, second = out.splitlines()
    assert code == 0
    assert heading.split()[:3] == ["RECORD", "ENDED", "MODEL"]
    assert first.split()[:6] == [
        f"iris-run-{new.run.id}",
        new.run.ended_at.strftime("%Y-%m-%dT%H:%M:%SZ") if new.run.ended_at else "",
        "models:/iris/2",
        "models:/iris/1",
        "Rejected",
        new.run.reason,
    ]
    assert second.split()[4] == "Promoted"
    assert terminal.asked == [
        "get configmaps --selector=sluice.dev/model-deployment=iris,sluice.dev/record=run --namespace=models"
        " --output=json"
    ]


def test_a_replay_shows_what_changed_and_the_same_verdict(terminal: Terminal) -> None:
    """Rows where weight, step or a pass changed, one per objective; exit code 0."""
    record = a_record()
    terminal.has_records(record)
    code, out, _ = terminal.types("replay", "iris")
    assert code == 0
    table, said = out.split("\n\n")
    assert {line.split()[3] for line in table.splitlines()[1:]} == {"errors", "p95", "accuracy"}
    assert {line.split()[2] for line in table.splitlines()[1:]} == {"10%", "50%"}
    assert len(table.splitlines()) < 3 * len(record.canary.finished) / 2
    assert said.splitlines() == [
        "Promoted (Promoted): models:/iris/2 was promoted",
        f"verdict at 12:03:20: {record.last_evaluation.verdict.result} ({record.last_evaluation.verdict.reason}):"
        f" {record.last_evaluation.verdict.message}",
        "the same as recorded",
    ]


def test_every_tick_is_shown_where_it_is_asked_for(terminal: Terminal) -> None:
    """By objective what each arm counted in it; then all objectives together. A line fits a terminal."""
    record = a_record()
    terminal.has_records(record)
    code, out, _ = terminal.types("replay", "iris", "--ticks")
    table = out.split("\n\n")[0].splitlines()
    rows = [line.split() for line in table[1:]]
    assert code == 0
    assert [row[2] for row in rows] == ["errors", "p95", "accuracy", "together"] * record.tick_count
    of_errors = [row for row in rows if row[2] == "errors"]
    assert [(int(row[3]), int(row[5])) for row in of_errors] == [
        *zip(record.canary.errors, record.canary.finished, strict=True)
    ]
    assert [(int(row[6]), int(row[8])) for row in of_errors] == [
        *zip(record.stable.errors, record.stable.finished, strict=True)
    ]
    assert max(map(len, table)) <= 120


def test_every_tick_has_the_evidence_after_it_and_the_decision_where_it_fell(terminal: Terminal) -> None:
    """At the last tick of a step, and at the first one at which a family reached its bar."""
    terminal.has_records(a_record())
    table = terminal.types("replay", "iris", "--ticks")[1].split("\n\n")[0].splitlines()
    assert [(line.split()[0], line.split("<- ")[1]) for line in table if "<-" in line] == [
        ("12:01:40", "on to 50%"),
        ("12:03:20", "Pass"),
    ]
    terminal.has_records(failed := a_record(bad=0.3))
    *_, last = terminal.types("replay", "iris", "--ticks")[1].split("\n\n")[0].splitlines()
    reached = math.exp(replayed(failed).ticks[-1].comparison)
    assert last.split()[2:6] == ["together", f"{reached:.3g}", "of", "29.8"]
    assert last.endswith("<- Fail")


def test_a_replay_that_differs_says_where(terminal: Terminal) -> None:
    """Exit code 1."""
    record = a_record()
    terminal.has_records(
        replace(record, last_evaluation=replace(record.last_evaluation, verdict=Verdict(Result.FAIL, "Other", "words")))
    )
    code, out, _ = terminal.types("replay", "iris", "--run", "newest")
    assert code == 1
    assert "DIFFERENT" in out
    assert 'reason: recorded "Other", replayed "Passed"' in out


def test_a_chosen_run_is_replayed(terminal: Terminal) -> None:
    """By the name that history shows."""
    terminal.has_records(a_record(), good := a_record(bad=0.3, id="bbbbbbbbbb-1"))
    assert "Rejected (" in terminal.types("replay", "iris", "--run", f"iris-run-{good.run.id}")[1]
    code, _, err = terminal.types("replay", "iris", "--run", "iris-run-x")
    assert (code, "has no record iris-run-x; it has iris-run-" in err) == (2, True)


@pytest.mark.parametrize("form", ["yaml", "json", "packed"])
def test_a_record_is_read_from_a_file(terminal: Terminal, form: str) -> None:
    """Without kubectl, in each form in which it may have been saved."""
    manifest, path = config_map(a_record()), terminal.folder / "record"
    packed = base64.b64decode(manifest["binaryData"][names.RECORD_KEY])
    text = yaml.safe_dump(manifest) if form == "yaml" else json.dumps(manifest)
    path.write_bytes(packed if form == "packed" else text.encode())
    code, out, _ = terminal.types("replay", "--record", str(path))
    assert (code, out.splitlines()[-1]) == (0, "the same as recorded")
    assert not (terminal.folder / "asked").exists()


def test_a_report_is_written(terminal: Terminal) -> None:
    """Beside what is printed."""
    terminal.has_records(a_record())
    path = terminal.folder / "run.html"
    assert "report: " in terminal.types("replay", "iris", "--report", str(path))[1]
    assert path.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("replay",), "name a ModelDeployment, or a file with --record"),
        (("replay", "iris"), "there is no record of a run of iris yet"),
        (("history", "rose"), 'modeldeployments.sluice.dev "rose" not found'),
        (("replay", "--record", "/nowhere"), "/nowhere cannot be read: No such file or directory"),
        (("replay", "--prometheus", "http://localhost:1"), "--prometheus needs --filename"),
        (("forecast", "iris", "--prometheus", "http://localhost:1"), "check --prometheus"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do(
    terminal: Terminal, arguments: tuple[str, ...], words: str
) -> None:
    """Exit code 2."""
    code, out, err = terminal.types(*arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_without_kubectl_a_file_can_be_read(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that is what is said."""
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = terminal.types("history", "iris")
    assert (code, "kubectl is not on the PATH" in err) == (2, True)


@pytest.mark.parametrize("text", ["a: 1", "[", "kind: ConfigMap"])
def test_a_file_that_is_no_record_is_told(terminal: Terminal, text: str) -> None:
    """With what would be one."""
    path = terminal.folder / "record"
    path.write_text(text)
    code, _, err = terminal.types("replay", "--record", str(path))
    assert (code, "record" in err) == (2, True)
