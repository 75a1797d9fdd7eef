"""docs/tutorial.md, as somebody would follow it: each file is written, and each command is run, in their order."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from dev.demo.cluster import ROOT, Addresses

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILE = re.compile(r"Write this as `~/wines/([\w.]+)`.*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHIN = 900.0  # seconds


def script(home: Path) -> str:
    """The commands of the page. The files that it shows are written into the folder of the reader."""
    (home / "wines").mkdir()
    for name, text in FILE.findall(PAGE):
        (home / "wines" / name).write_text(text, encoding="utf-8")
    return "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *COMMANDS.findall(PAGE)])


async def test_the_tutorial_goes_as_it_says(cluster: Addresses, tmp_path: Path) -> None:
    """A better version is promoted, a worse one rolled back, a promotion undone, and no caller sees any of it."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script(tmp_path)),
        cwd=ROOT,
        env=os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    told = out.decode()
    assert process.returncode == 0, told
    assert "it was not promoted" in told
    predictions, failed = re.findall(r"(\d+) predictions, (\d+) failed", told)[-1]
    assert (int(predictions) > 1000, failed) == (True, "0"), told
    assert (tmp_path / "wines" / "run.html").stat().st_size > 10_000
