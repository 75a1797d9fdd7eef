"""`python -m dev.site FOLDER`: makes the documentation a site of static files, which needs nothing from elsewhere."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.site import pages

_SETTINGS = Path(__file__).with_name("zensical.toml")


def build(folder: Path) -> None:
    """Write the site into `folder`, whose content is replaced. Raises CalledProcessError if a page has a fault."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for place, content in pages.all_files().items():
            file = work / "pages" / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        shutil.copy(_SETTINGS, work)
        zensical = Path(sys.executable).with_name("zensical")
        subprocess.run([zensical, "build", "--strict", "--config-file", work / _SETTINGS.name], check=True, cwd=work)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(work / "site", folder)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
