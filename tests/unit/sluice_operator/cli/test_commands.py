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
from sluice_operator.api.run import Answer, TakenCommand
from sluice_operator.api.status import Result, Verdict
from sluice_operator.controller.archive import summary
from sluice_operator.manifests import builders
from sluice_operator.records.replay import replayed
from sluice_operator.records.run_record import baseline_of
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.cli.terminal import Terminal, a_record, config_map
from tests.unit.sluice_operator.recorded import BEGAN, a_run


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Terminal(tmp_path, capsys)


def test_history_lists_the_run_records(terminal: Terminal) -> None:
    """The newest first, with how each run ended."""
    old, new = a_record(), a_record(bad=0.3, id="bbbbbbbbbb-1772373600", started_at=BEGAN.replace(hour=14))
    terminal.set_records(old, new)
    code, out, _ = terminal.run("history", "iris", "-n", "models")
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
    assert terminal.kubectl_calls == [
        "get configmaps --selector=sluice.dev/model-deployment=iris,sluice.dev/record=run --namespace=models"
        " --request-timeout=15s --output=json"
    ]


def test_history_tells_who_gave_which_command(terminal: Terminal) -> None:
    """Below the table, with what became of it."""
    taken = TakenCommand("pause/x/0/2026-03-01T12:00:00Z", "kubectl-sluice:jane", BEGAN, Answer.ACCEPTED, "it stays")
    terminal.set_records(a_record(commands=(taken,)))
    code, out, _ = terminal.run("history", "iris")
    assert code == 0
    assert out.splitlines()[2:] == ["pause/x/0/2026-03-01T12:00:00Z by kubectl-sluice:jane: Accepted, it stays"]


def test_history_is_plain_text(terminal: Terminal) -> None:
    """A ConfigMap may be written by others: it forges no row, and its escapes are shown."""
    terminal.set_records(a_record(message="\x1b]0;x\x07\nFAKE ROW"))
    _, out, _ = terminal.run("history", "iris")
    assert len(out.splitlines()) == 2
    assert "\\x1b]0;x\\x07 FAKE ROW" in out


def test_a_record_without_counts_is_in_the_history_and_cannot_be_replayed(terminal: Terminal) -> None:
    """The newest run that can be judged again is replayed; of the other one a sentence says why not."""
    aborted = a_run(id="cccccccccc-1772373600", started_at=BEGAN.replace(hour=14), outcome="Rejected", reason="Aborted")
    without = builders.run_record(OWNER, aborted.id, summary(aborted))
    text = json.dumps({"items": [config_map(a_record()), without]})
    (terminal.folder / "configmaps").write_text(text)
    rows = terminal.run("history", "iris")[1].splitlines()
    assert [row.split()[4] for row in rows[1:]] == ["Rejected", "Promoted"]
    assert terminal.run("replay", "iris")[0] == 0
    code, _, error = terminal.run("replay", "iris", "--run", without["metadata"]["name"])
    assert code == 2
    assert "without counts" in error


def test_replay_shows_the_ticks_with_changes_and_the_recorded_verdict(terminal: Terminal) -> None:
    """A row per objective at each tick at which the weight, the step or a Pass changed; exit code 0."""
    record = a_record()
    terminal.set_records(record)
    code, out, _ = terminal.run("replay", "iris")
    assert code == 0
    table, conclusion = out.split("\n\n")
    assert {line.split()[3] for line in table.splitlines()[1:]} == {"errors", "p95", "accuracy"}
    assert {line.split()[2] for line in table.splitlines()[1:]} == {"10%", "50%"}
    assert len(table.splitlines()) < 3 * len(record.canary.finished) / 2
    assert conclusion.splitlines() == [
        "Promoted (Promoted): models:/iris/2 was promoted",
        f"verdict at 12:03:20: {record.last_evaluation.verdict.result} ({record.last_evaluation.verdict.reason}):"
        f" {record.last_evaluation.verdict.message}",
        "the same as recorded",
    ]


def test_option_ticks_shows_the_counts_of_every_tick(terminal: Terminal) -> None:
    """By objective the counts of both revisions; then all objectives together. No line is wider than 120 characters."""
    record = a_record()
    terminal.set_records(record)
    code, out, _ = terminal.run("replay", "iris", "--ticks")
    table = out.split("\n\n")[0].splitlines()
    rows = [line.split() for line in table[1:]]
    assert code == 0
    assert [row[2] for row in rows] == ["errors", "p95", "accuracy", "together"] * record.tick_count
    error_rows = [row for row in rows if row[2] == "errors"]
    assert [(int(row[3]), int(row[5])) for row in error_rows] == [
        *zip(record.canary.errors, record.canary.finished, strict=True)
    ]
    assert [(int(row[6]), int(row[8])) for row in error_rows] == [
        *zip(record.stable.errors, record.stable.finished, strict=True)
    ]
    assert max(map(len, table)) <= 120
    laws = {name: past.judged.divisor for name, past in baseline_of(record).by_objective.items()}
    divided = out.split("\n\n")[1].splitlines()
    assert [line.split(", ")[0] for line in divided] == [
        f"{name}: counts are divided by {divisor:.6g}" for name, divisor in laws.items()
    ]


def test_option_ticks_shows_each_decision_at_the_tick_that_led_to_it(terminal: Terminal) -> None:
    """A change of weight at the last tick of a step; a Fail where the evidence first reached a threshold."""
    terminal.set_records(a_record())
    table = terminal.run("replay", "iris", "--ticks")[1].split("\n\n")[0].splitlines()
    assert [(line.split()[0], line.split("<- ")[1]) for line in table if "<-" in line] == [
        ("12:01:40", "on to 50%"),
        ("12:03:20", "Pass"),
    ]
    terminal.set_records(failed := a_record(bad=0.3))
    *_, last = terminal.run("replay", "iris", "--ticks")[1].split("\n\n")[0].splitlines()
    reached = math.exp(replayed(failed).ticks[-1].comparison)
    assert last.split()[2:6] == ["together", f"{reached:.3g}", "of", "29.8"]
    assert last.endswith("<- Fail")


def test_replay_shows_where_the_verdict_differs_from_the_recorded_one(terminal: Terminal) -> None:
    """The exit code is 1."""
    record = a_record()
    terminal.set_records(
        replace(record, last_evaluation=replace(record.last_evaluation, verdict=Verdict(Result.FAIL, "Other", "words")))
    )
    code, out, _ = terminal.run("replay", "iris", "--run", "newest")
    assert code == 1
    assert "DIFFERENT" in out
    assert 'reason: recorded "Other", replayed "Passed"' in out


def test_option_run_chooses_the_run_record(terminal: Terminal) -> None:
    """By the name that history shows. An unknown name is an error that lists the known ones."""
    terminal.set_records(a_record(), good := a_record(bad=0.3, id="bbbbbbbbbb-1"))
    assert "Rejected (" in terminal.run("replay", "iris", "--run", f"iris-run-{good.run.id}")[1]
    code, _, err = terminal.run("replay", "iris", "--run", "iris-run-x")
    assert (code, "has no record iris-run-x; it has iris-run-" in err) == (2, True)


@pytest.mark.parametrize("form", ["yaml", "json", "packed"])
def test_a_record_is_read_from_a_file(terminal: Terminal, form: str) -> None:
    """Without kubectl, and in each form in which it may have been saved."""
    manifest, path = config_map(a_record()), terminal.folder / "record"
    packed = base64.b64decode(manifest["binaryData"][names.RECORD_KEY])
    text = yaml.safe_dump(manifest) if form == "yaml" else json.dumps(manifest)
    path.write_bytes(packed if form == "packed" else text.encode())
    code, out, _ = terminal.run("replay", "--record", str(path))
    assert (code, out.splitlines()[-1]) == (0, "the same as recorded")
    assert not (terminal.folder / "calls").exists()


def test_option_report_also_writes_a_page(terminal: Terminal) -> None:
    """The output has its path."""
    terminal.set_records(a_record())
    path = terminal.folder / "run.html"
    assert "report: " in terminal.run("replay", "iris", "--report", str(path))[1]
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
def test_an_error_has_exit_code_2_and_a_message(terminal: Terminal, arguments: tuple[str, ...], words: str) -> None:
    """The message is on standard error, and nothing is printed."""
    code, out, err = terminal.run(*arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_missing_kubectl_is_an_error_with_advice(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record can also be read from a file, without kubectl."""
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = terminal.run("history", "iris")
    assert (code, "kubectl is not on the PATH" in err) == (2, True)


@pytest.mark.parametrize("text", ["a: 1", "[", "kind: ConfigMap"])
def test_a_file_without_a_record_is_an_error(terminal: Terminal, text: str) -> None:
    """Its message says what the file must hold."""
    path = terminal.folder / "record"
    path.write_text(text)
    code, _, err = terminal.run("replay", "--record", str(path))
    assert (code, "record" in err) == (2, True)


@pytest.mark.parametrize("data", [None, {}, {"model": "models:/iris/1"}])
def test_a_config_map_that_only_has_the_labels_of_a_record_is_none(
    terminal: Terminal, data: dict[str, str] | None
) -> None:
    """Whoever may write ConfigMaps can make one; the records beside it are still read."""
    stranger = {"metadata": {"name": "stranger"}, "data": data}
    record = a_record()
    (terminal.folder / "configmaps").write_text(json.dumps({"items": [stranger, config_map(record)]}))
    code, out, _ = terminal.run("history", "iris")
    assert (code, "stranger" in out, len(out.splitlines())) == (0, False, 2)
    assert terminal.run("replay", "iris")[0] == 0
    (terminal.folder / "configmaps").write_text(json.dumps({"items": [stranger]}))
    code, _, err = terminal.run("replay", "iris")
    assert (code, "there is no record of a run of iris yet" in err) == (2, True)


def test_a_record_that_is_no_base64_is_an_error(terminal: Terminal) -> None:
    """Not even ASCII."""
    record = config_map(a_record())
    record["binaryData"] = {names.RECORD_KEY: "ä"}
    (terminal.folder / "configmaps").write_text(json.dumps({"items": [record]}))
    code, _, err = terminal.run("replay", "iris")
    assert (code, "is not a record of a run" in err) == (2, True)


def test_what_the_libraries_of_kubectl_log_is_left_out(terminal: Terminal) -> None:
    """Five lines of it come before the sentence that says what is wrong."""
    noise = 'E1130 13:01:36.123456   12345 memcache.go:265] "Unhandled Error" err="no list"'
    (terminal.folder / "kubectl").write_text(f"#!/bin/sh\necho '{noise}' >&2\necho 'connection refused' >&2\nexit 1\n")
    code, _, err = terminal.run("history", "iris")
    assert (code, "memcache" in err, "connection refused" in err) == (2, False, True)


def test_a_report_that_cannot_be_written_is_said_before_anything_else(terminal: Terminal) -> None:
    """And not after hours of waiting."""
    for path, why in (("/nowhere/report", "there is no folder /nowhere"), (str(terminal.folder), "it is a folder")):
        for verb in ("replay", "wait"):
            code, out, err = terminal.run(verb, "iris", "--report", path)
            assert (code, out, why in err) == (2, "", True)


def test_ctrl_c_ends_a_command_without_a_traceback(terminal: Terminal) -> None:
    """With the exit code of every program that it ends."""
    (terminal.folder / "kubectl").write_text("#!/bin/sh\nkill -INT $PPID\nexit 1\n")
    assert terminal.run("wait", "iris") == (130, "", "")
