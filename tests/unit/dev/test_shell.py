"""What shellcheck does not tell of the shell scripts."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "dev", ROOT / "dev" / "cluster", ROOT / "dev" / "workflows")
SCRIPTS = [*(script for folder in FOLDERS for script in sorted(folder.glob("*.sh"))), ROOT / ".ci" / "run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_pipe_ends_before_what_writes_to_it(script: Path) -> None:
    """`up` threw a whole cluster away, one of ten times on a busy machine.

    `ip route` writes two lines, `grep -q` had ended after the first one, and with pipefail that counts as not found.
    """
    early = re.findall(r".*(?<!\|)\|\s*(?:grep\s+-\w*[qm]|head\b).*", script.read_text())
    assert not early, f"read to the end, for example with `found` of config.sh: {early}"
