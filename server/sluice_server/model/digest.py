"""The identity of a model's files: one sha256 over the sorted tree.

MLflow addresses artefacts but does not hash them, so two downloads of one version are compared by this digest.
Each file adds its path, its size and the sha256 of its bytes, in the order of the paths.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def tree_digest(root: Path) -> str:
    """`sha256:<64 hex>` over all files below `root`; depends on names and bytes only, not on times or modes."""
    total = hashlib.sha256()
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    for name in sorted(files):
        with files[name].open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{len(name.encode())}:{name}:{files[name].stat().st_size}:{content}\n".encode())
    return f"sha256:{total.hexdigest()}"
