"""What may be released: a tag, the project, the chart and the changelog must say the same."""

import pytest

from dev.workflows import sbom
from dev.workflows.release import NotReleasedError, checked, notes

CHANGELOG = """# Changelog

## 0.3.0 - unreleased
### Added
- Something new.

## 0.2.0 - 2026-12-01
### Added
- Something old.

## 0.1.0 - 2026-01-01
"""


@pytest.mark.parametrize(
    ("tag", "project", "chart"),
    [
        ("v0.2.0", "0.2.0", "0.2.0"),
        ("v0.3.0rc1", "0.3.0rc1", "0.3.0-rc.1"),
        ("v0.3.0.dev0", "0.3.0.dev0", "0.3.0-dev.0"),
    ],
)
def test_a_tag_of_the_version_is_released(tag: str, project: str, chart: str) -> None:
    """Python and Helm write what comes before a release in different ways."""
    assert checked(tag, project, {"version": chart, "appVersion": chart}) == project


@pytest.mark.parametrize(
    ("tag", "chart", "app", "words"),
    [
        ("0.2.0", "0.2.0", "0.2.0", "tag 0.2.0 is not v0.2.0"),
        ("v0.2.1", "0.2.0", "0.2.0", "tag v0.2.1 is not v0.2.0"),
        ("v0.2.0", "0.1.0", "0.2.0", "version in chart/Chart.yaml is 0.1.0"),
        ("v0.2.0", "0.2.0", "0.1.0", "appVersion in chart/Chart.yaml is 0.1.0"),
    ],
)
def test_any_other_tag_is_refused(tag: str, chart: str, app: str, words: str) -> None:
    """With what to write."""
    with pytest.raises(NotReleasedError, match=words):
        checked(tag, "0.2.0", {"version": chart, "appVersion": app})


def test_the_notes_are_the_part_of_the_changelog() -> None:
    """Of the version alone; a release before the last one has those of what it will be."""
    assert notes("0.2.0", CHANGELOG) == "### Added\n- Something old.\n"
    assert notes("0.3.0rc1", CHANGELOG) == "### Added\n- Something new.\n"


@pytest.mark.parametrize(("version", "words"), [("0.3.0", "calls 0.3.0 unreleased"), ("0.4.0", "no part `## 0.4.0")])
def test_a_version_that_the_changelog_does_not_release_is_refused(version: str, words: str) -> None:
    """Its date is the last thing that a person writes."""
    with pytest.raises(NotReleasedError, match=words):
        notes(version, CHANGELOG)


LOCK = f"""numpy==2.4.6 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
uvicorn[standard]==0.54.0 \\
    --hash=sha256:{"c" * 64}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:{"d" * 64}
uvloop==0.22.1 ; platform_python_implementation != 'PyPy' and sys_platform != 'win32' \\
    --hash=sha256:{"e" * 64}
"""


def test_an_sbom_has_what_an_image_has() -> None:
    """Packages with extras and markers too, but not those of Windows."""
    assert [(pin.name, pin.version, len(pin.hashes)) for pin in sbom.pins(LOCK)] == [
        ("numpy", "2.4.6", 2),
        ("uvicorn", "0.54.0", 1),
        ("uvloop", "0.22.1", 1),
    ]
