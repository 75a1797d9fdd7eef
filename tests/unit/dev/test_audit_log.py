"""Who asked for what, by lines of an audit log. recorded/audit.log is that of a real API server."""

import json
from pathlib import Path
from typing import Any

from dev.audit_log import Right, Use, read, requests

RECORDED = Path(__file__).parent / "recorded" / "audit.log"
ROBOT = "audited/robot"
SECRET = Use("models/robot", Right("", "secrets", "get"), "models", "one")


def entry(verb: str, code: int = 200, stage: str = "ResponseComplete", **changes: Any) -> str:
    made: dict[str, Any] = {
        "verb": verb,
        "stage": stage,
        "user": {"username": "system:serviceaccount:models:robot"},
        "objectRef": {"resource": "secrets", "namespace": "models", "name": "one"},
        "responseStatus": {"code": code},
    }
    return json.dumps(made | changes) + "\n"


def test_the_log_of_a_real_server_is_understood() -> None:
    """Allowed, refused, refused by admission; an apply that creates, and one that may not; what everybody may ask."""
    found = requests(read(RECORDED))

    def use(group: str, resource: str, verb: str, name: str) -> Use:
        return Use(ROBOT, Right(group, resource, verb), "audited", name)

    allowed = {use("", "services", "patch", "one"), use("", "services", "create", "one")}
    refused = {use("apps", "deployments", "get", "one"), use("", "services", "create", "two")}
    assert allowed | refused <= set(found.made)
    assert refused <= set(found.refused)
    assert not found.refused.keys() & allowed
    rights = {each.right for each in found.made}
    assert Right("", "pods", "create") in rights - {each.right for each in found.refused}
    assert not [right for right in rights if right.resource.startswith("selfsubject")]


def test_a_watch_counts_once_and_from_its_begin() -> None:
    """A watch that goes on has no end in the log."""
    stages = ("ResponseStarted", "ResponseComplete", "ResponseStarted")
    found = requests([entry("watch", stage=stage) for stage in stages])
    assert found.made.total() == 2


def test_requests_of_no_resource_of_people_and_an_unfinished_line_count_nothing() -> None:
    """Only what a role of a service account could be about."""
    of_people = entry("get", user={"username": "admin"})
    found = requests([entry("get", objectRef=None), of_people, entry("get"), entry("get")[:-9]])
    assert found.made == {SECRET: 1}


def test_a_refusal_counts_unless_it_was_about_the_object() -> None:
    """Admission answers 403 as well. What is not known to be of admission counts as a want of a right."""
    messages = [
        "cannot get",
        "something new",
        "exceeded quota: few, requested: pods=1",
        'violates PodSecurity "restricted"',
    ]
    lines = [entry("get", 403, responseStatus={"code": 403, "message": message}) for message in messages]
    assert requests(lines).refused == {SECRET: 2}


def test_the_requests_x_are_told_from_those_of_others() -> None:
    """By namespace and name."""
    other = entry("get", user={"username": "system:serviceaccount:other:robot"})
    assert requests([entry("get"), other]).of("models/robot".__eq__).made == {SECRET: 1}


def test_logs_that_were_rotated_away_are_read_too(tmp_path: Path) -> None:
    """They have a time in their names."""
    for name in ("audit.log", "audit-2026-11-30T06-00-00.000.log"):
        (tmp_path / name).write_text(entry("get"))
    assert requests(read(tmp_path / "audit.log")).made == {SECRET: 2}
