"""`kubectl sluice status`, `abort`, `pause`, `resume`, `promote`, `retry` and `undo` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from sluice_operator.api.command import Command, Verb, parse
from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Answer, Outcome, TakenCommand
from sluice_operator.api.status import HistoryEntry, ObjectiveVerdict, Result, Status, Verdict, dump
from tests.unit.sluice_operator.build import NOW, PASS, again, raw_spec, revision, rolling_back, stable_on, stepping
from tests.unit.sluice_operator.cli.terminal import Terminal

OF_1, OF_2 = revision(1).revision, revision(2).revision


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("COLUMNS", "160")
    terminal = Terminal(tmp_path, capsys)
    show(terminal, stepping(verdict=PASS))
    terminal.set_answer(Answer.ACCEPTED, "traffic goes back to models:/iris/1")
    return terminal


def show(terminal: Terminal, seen: Observation, command: str = "") -> None:
    """The object in the cluster has this status."""
    terminal.set_object(raw_spec(), dump(again(seen).status), command)


def written(terminal: Terminal) -> Command:
    """The command in the annotation that was written last."""
    call = next(call for call in reversed(terminal.kubectl_calls) if call.startswith("annotate"))
    return parse(next(word for word in call.split() if word.startswith("sluice.dev/command=")).partition("=")[2])


@pytest.mark.parametrize("verb", [Verb.ABORT, Verb.PAUSE, Verb.RESUME, Verb.PROMOTE])
def test_a_command_is_meant_for_the_run_as_it_is(terminal: Terminal, verb: Verb) -> None:
    """With the revision and the step that are in status, which has gone on to the second step."""
    code, out, _ = terminal.run(str(verb), "iris", "-n", "models")
    assert (code, out) == (0, "Accepted: traffic goes back to models:/iris/1\n")
    assert written(terminal) == Command(verb, OF_2, 1)


def test_the_annotation_tells_who_asked_and_overwrites_nothing_unseen(terminal: Terminal) -> None:
    """The name is that of `kubectl auth whoami`; the write is refused if the object has changed since."""
    terminal.run("abort", "iris")
    call = next(call for call in terminal.kubectl_calls if call.startswith("annotate"))
    assert "--field-manager=kubectl-sluice:jane@example.com" in call
    assert "--resource-version=7" in call


def test_an_object_that_changed_meanwhile_is_read_again(terminal: Terminal) -> None:
    """The operator writes its status in the same moment now and then."""
    (terminal.folder / "conflict").touch()
    assert terminal.run("abort", "iris")[0] == 0
    assert sum(call.startswith("annotate") for call in terminal.kubectl_calls) == 2


def test_a_command_that_is_not_answered_yet_is_not_overwritten(terminal: Terminal) -> None:
    """Else nobody would know what became of it."""
    show(terminal, stepping(), command=f"pause/{OF_2}/0/2026-03-01T12:00:00Z")
    code, _, err = terminal.run("abort", "iris")
    assert code == 2
    assert f"pause/{OF_2}/0/2026-03-01T12:00:00Z has not been answered yet" in err
    assert "kubectl annotate modeldeployment iris -n models sluice.dev/command- takes it back" in err
    assert not any(call.startswith("annotate") for call in terminal.kubectl_calls)


def test_a_refusal_is_told_and_is_exit_code_1(terminal: Terminal) -> None:
    """The sentence is the operator's."""
    terminal.set_answer(Answer.REFUSED, "it is not paused")
    assert terminal.run("resume", "iris")[:2] == (1, "Refused: it is not paused\n")


def test_without_an_operator_there_is_no_answer(terminal: Terminal) -> None:
    """The command stays, and may be carried out by the next operator: the message says so, and how to prevent it."""
    (terminal.folder / "answer").unlink()
    code, _, err = terminal.run("abort", "iris", "--timeout", "5s")
    assert code == 2
    assert "no answer within 5s: abort/" in err
    assert "still waits, and an operator that runs may carry it out" in err
    assert "kubectl annotate modeldeployment iris -n models sluice.dev/command- takes it back" in err
    assert any("--timeout=5.000s" in call for call in terminal.kubectl_calls)


def test_promote_full_is_a_verb_of_its_own(terminal: Terminal) -> None:
    """So that the annotation says all of it."""
    terminal.run("promote", "iris", "--full")
    assert written(terminal).verb is Verb.PROMOTE_FULL


def test_retry_is_meant_for_what_was_rejected_last(terminal: Terminal) -> None:
    """Or for a revision that is named."""
    show(terminal, rolling_back())
    terminal.run("retry", "iris")
    assert written(terminal) == Command(Verb.RETRY, OF_2, 0)
    terminal.run("retry", "iris", "--revision", "k3v9q2x7ma")
    assert written(terminal).revision == "k3v9q2x7ma"


def test_undo_is_meant_for_what_serves(terminal: Terminal) -> None:
    """Not for what is tried."""
    terminal.run("undo", "iris")
    assert written(terminal).revision == OF_1


def test_nothing_is_asked_where_there_is_nothing_to_do(terminal: Terminal) -> None:
    """Exit code 2, and what is the case instead."""
    show(terminal, stable_on(1))
    code, _, err = terminal.run("retry", "iris")
    assert (code, "there is nothing to retry: models:/iris/1 serves on 2 of 2 pods" in err) == (2, True)


def test_status_shows_the_rollout(terminal: Terminal) -> None:
    """Phase, revisions, weight, and what is still needed."""
    code, out, _ = terminal.run("status", "iris")
    assert code == 0
    for part in ("models/iris", "Stepping, step 2 of 2", f"models:/iris/1 ({OF_1}), 2 pods ready", "10 % live", OF_2):
        assert part in out


@pytest.mark.parametrize("options", [(), ("--watch",)])
def test_status_shows_an_object_that_is_nested_too_deeply(terminal: Terminal, options: tuple[str, ...]) -> None:
    """The API server takes more brackets in one another than can be read here."""
    shown = terminal.folder / "object"
    deep = '"podTemplate": ' + "[" * 2_000 + "]" * 2_000
    shown.write_text(shown.read_text().replace('"server": {', '"server": {' + deep + ", "))
    assert deep in shown.read_text()
    _, out, _ = terminal.run("status", "iris", *options)
    assert "Stepping, step 2 of 2" in out


def test_status_watch_prints_a_line_for_each_change(terminal: Terminal) -> None:
    """Without a terminal. It ends, with a sentence, when the API server ends the watch."""
    code, out, err = terminal.run("status", "iris", "--watch")
    assert (code, len(out.splitlines())) == (2, 1)
    assert f"Stepping, step 2 of 2: stable models:/iris/1 ({OF_1}), canary models:/iris/2 ({OF_2})" in out
    assert "the watch has ended" in err


HOSTILE = "\x1b]0;owned\x07\x1b[2J[/bold] [link=http://evil]x[/link] \u202e\nFAKE ROW"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J[/bold] [link=http://evil]x[/link] \\u202e FAKE ROW"


def hostile() -> Status:
    """Somebody else's text in each place of a status that people read."""
    verdict = Verdict(Result.FAIL, "R", HOSTILE, (ObjectiveVerdict(HOSTILE, Result.FAIL, needs=HOSTILE),))
    taken = TakenCommand(HOSTILE, HOSTILE, NOW, Answer.ACCEPTED, HOSTILE)
    entry = HistoryEntry(HOSTILE, HOSTILE, Outcome.REJECTED, HOSTILE, NOW, NOW, commands=(taken,))
    now = stepping().status
    assert now.canary is not None
    canary = replace(now.canary, model=replace(now.canary.model, uri=HOSTILE))
    return replace(now, message=HOSTILE, canary=canary, verdict=verdict, last_command=taken, history=(entry,))


@pytest.mark.parametrize("arguments", [("status", "iris"), ("status", "iris", "--watch")])
def test_the_text_of_a_status_is_neither_obeyed_nor_taken_for_markup(
    terminal: Terminal, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write a ModelDeployment or a model would otherwise write to an administrator's terminal."""
    monkeypatch.setenv("COLUMNS", "2000")
    terminal.set_object(raw_spec(), dump(hostile()))
    _, out, _ = terminal.run(*arguments)
    assert SHOWN in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_an_answer_and_an_error_are_plain(terminal: Terminal) -> None:
    """Also where a command prints one line only."""
    terminal.set_answer(Answer.REFUSED, HOSTILE)
    _, out, _ = terminal.run("abort", "iris")
    assert out == f"Refused: {SHOWN}\n"
    terminal.set_object(raw_spec(), dump(replace(stable_on(1).status, message=HOSTILE)))
    _, _, err = terminal.run("retry", "iris")
    assert err.endswith(f"{SHOWN}\n")


def test_a_long_timeout_is_written_as_kubectl_takes_it(terminal: Terminal) -> None:
    """It knows no 1.44e+06s, and would refuse when the command is written already."""
    terminal.run("abort", "iris", "--timeout", "400h")
    assert any("--timeout=1440000.000s" in call for call in terminal.kubectl_calls)
    before = len(terminal.kubectl_calls)
    code, _, err = terminal.run("abort", "iris", "--timeout", "99999999999999h")
    assert (code, "longer than 1000 years" in err, len(terminal.kubectl_calls)) == (2, True, before)


def test_a_long_user_name_is_cut_by_bytes(terminal: Terminal) -> None:
    """The API server takes 128 of them, and no half letter."""
    (terminal.folder / "user").write_text(json.dumps({"status": {"userInfo": {"username": "ä" * 100 + "\n"}}}))
    terminal.run("abort", "iris", "--timeout", "1s")
    [call] = [call for call in terminal.kubectl_calls if call.startswith("annotate")]
    manager = call.partition("--field-manager=")[2].split()[0]
    assert (len(manager.encode()), manager) == (127, "kubectl-sluice:" + "ä" * 56)
