"""What roles give, against what was asked: used and not granted, granted and not used."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dev.audit_log import Requests, Right, Use
from dev.rights import Difference, Grant, difference, grants, of_manifests, table

OPERATOR, LEASES = "sluice-system/sluice-operator", "coordination.k8s.io"
GET = Right("", "secrets", "get")
E2E = Path(__file__).parents[2] / "e2e"
NONE: frozenset[Any] = frozenset()


def asked(*uses: Use, refused: tuple[Use, ...] = ()) -> Requests:
    return Requests(Counter([*uses, *refused]), Counter(refused))


def test_the_rights_of_the_operator_are_those_of_its_bindings() -> None:
    """Subresources are rights of their own. A Role is for one namespace, and may be for one name."""
    given = of_manifests()
    scale, lease = Right("apps", "deployments/scale", "patch"), Right(LEASES, "leases", "update")
    assert Grant(OPERATOR, scale) in given
    assert Grant(OPERATOR, lease, "sluice-system", ("sluice-leader",)) in given
    assert {grant.account for grant in given} == {OPERATOR}
    assert str(Grant(OPERATOR, scale)) == f"{OPERATOR}: patch deployments/scale.apps"


def test_a_role_without_a_binding_gives_nothing() -> None:
    """Nobody has it."""
    role = {"kind": "Role", "metadata": {"namespace": "models", "name": "reader"}, "rules": []}
    assert grants([role]) == NONE


@pytest.mark.parametrize(
    ("grant", "is_enough"),
    [
        (Grant("models/robot", GET), True),
        (Grant("models/robot", GET, "models"), True),
        (Grant("models/robot", GET, "models", ("one", "two")), True),
        (Grant("models/robot", GET, "other"), False),
        (Grant("models/robot", GET, "models", ("two",)), False),
        (Grant("models/another", GET, "models"), False),
        (Grant("models/robot", Right("", "secrets", "list"), "models"), False),
        (Grant("models/robot", Right("apps", "secrets", "get"), "models"), False),
        (Grant("models/robot", Right("", "secrets/status", "get"), "models"), False),
    ],
)
def test_a_right_is_used_by_what_it_is_enough_for(grant: Grant, is_enough: bool) -> None:
    """By account, group, resource, subresource, verb, namespace and name. Else the request lacks one."""
    use = Use("models/robot", GET, "models", "one")
    expected = Difference(NONE, NONE) if is_enough else Difference(frozenset({use}), frozenset({grant}))
    assert difference([grant], asked(use)) == expected


def test_a_refused_request_lacks_a_right_and_uses_none() -> None:
    """Even where a role seems to give it: what the API server says is true. If it was allowed at another time, the role
    was not there.
    """
    grant, use = Grant("models/robot", GET), Use("models/robot", GET, "models", "one")
    assert difference([grant], asked(refused=(use,))) == Difference(frozenset({use}), frozenset({grant}))
    assert difference([grant], asked(use, refused=(use,))) == Difference(NONE, NONE)


def test_the_table_has_what_is_to_be_taken_away_and_what_is_to_be_given() -> None:
    """A right without requests, and at the end requests without a right."""
    grant, nodes = Grant("models/robot", GET), Right("", "nodes", "list")
    rows = table([grant], asked(Use("models/robot", nodes))).splitlines()[2:]
    assert rows == ["| models/robot: get secrets | 0 |", "| **no right**: models/robot: list nodes | 1 |"]


def test_the_rights_are_compared_after_all_other_end_to_end_tests() -> None:
    """Pytest runs the modules of a folder by name."""
    assert max(path.name for path in E2E.glob("test_*.py")) == "test_zz_rights.py"


def test_each_exception_is_a_right_that_the_operator_has() -> None:
    """One that it has no more is taken off the list."""
    tree = ast.parse((E2E / "test_zz_rights.py").read_text(encoding="utf-8"))
    listed = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Right"]
    exceptions = {Right(*(ast.literal_eval(argument) for argument in call.args)) for call in listed}
    assert exceptions
    assert exceptions <= {grant.right for grant in of_manifests()}
