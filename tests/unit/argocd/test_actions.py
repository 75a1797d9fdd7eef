"""The actions for Argo CD are enabled where the operator accepts the command, and write one that it understands."""

from __future__ import annotations

import pytest
import yaml

from sluice_operator.api.command import Asked, Verb, parse
from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Phase
from sluice_operator.rollout import commands, pauses
from sluice_operator.rollout.commands import Accepted
from sluice_operator.rollout.status_update import with_observations
from tests.unit.argocd.lua import run, script, shown
from tests.unit.argocd.situations import failing_over, rejected_twice, situations
from tests.unit.sluice_operator.build import revision, stepping

ACTIONS = yaml.safe_load(script("actions.yaml", "actions"))
WRITES = {entry["name"]: entry["action.lua"] for entry in ACTIONS["definitions"]}
SITUATIONS = dict(situations())


def enabled(seen: Observation, annotation: str = "") -> set[str]:
    actions = run(ACTIONS["discovery.lua"], shown(seen, annotation))
    return {name for name, action in actions.items() if not action["disabled"]}


def written(seen: Observation, action: str) -> str:
    """The command that an action writes."""
    return str(run(WRITES[action], shown(seen))["metadata"]["annotations"]["sluice.dev/command"])


def does_something(seen: Observation, action: str) -> bool:
    """Whether the operator accepts what the action writes, and anything follows from it now."""
    seen, text = with_observations(seen), written(seen, action)
    try:
        answer = commands.answer(seen, parse(text), Asked(text, "argocd-server", seen.now))
    except ValueError:
        return False
    run, phase = seen.status.run, seen.status.phase
    if not isinstance(answer, Accepted) or answer.status == seen.status:
        return False
    if action == Verb.RETRY:  # in a run of another revision, nothing starts
        return phase in (Phase.STABLE, Phase.INITIALIZING)
    return not (action == Verb.PAUSE and run and run.pause and run.pause.reason == pauses.BY_COMMAND)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_action_is_enabled_where_it_does_something(situation: str) -> None:
    """No button is missing when it is needed, and none leads to a refusal."""
    seen = SITUATIONS[situation]
    assert enabled(seen) == {action for action in WRITES if does_something(seen, action)}


def test_all_phases_are_looked_at() -> None:
    """The test above would pass without them, and each command is accepted somewhere."""
    assert {seen.status.phase for seen in SITUATIONS.values()} == set(Phase)
    assert set(WRITES) == set(Verb)
    assert set(WRITES) == {action for seen in SITUATIONS.values() for action in enabled(seen)}


def test_a_failover_can_be_paused_and_ended() -> None:
    """As soon as stable has a ready pod again there is somewhere to go back to."""
    assert enabled(failing_over()) == {"pause"}
    assert enabled(failing_over(1)) == {"abort", "pause"}


def test_an_action_is_meant_for_what_argo_shows() -> None:
    """Verb, revision and step are those of the run."""
    assert parse(written(stepping(), "promote-full")) == parse(f"promote-full/{revision(2).revision}/0/2026-03-01")


def test_retry_is_meant_for_what_the_spec_names() -> None:
    """Although another version was rejected last."""
    assert parse(written(rejected_twice(), "retry")).revision == revision(2).revision


def test_no_action_overwrites_a_command_without_an_answer() -> None:
    """Else nobody would know what became of it."""
    assert enabled(stepping(), annotation=f"pause/{revision(2).revision}/0/2026-03-01T12:00:00Z") == set()
