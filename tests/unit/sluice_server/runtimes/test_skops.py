"""What is checked of a skops file before it is loaded; whole files are in the tests of fetch."""

from __future__ import annotations

import subprocess
import sys

from sluice_server.runtimes.port import Image, Policy
from sluice_server.runtimes.skops import check_types
from sluice_server.settings import Trust

POLICY = Policy(Trust.TRUSTED_TYPES, ("sklearn.tree._tree.Tree",), Image("3.11.7", {"scikit-learn": "1.9.1"}, 2**30))


def test_only_the_operators_list_counts() -> None:
    """A type beyond the operator's list is named; those on it pass."""
    assert check_types(["sklearn.tree._tree.Tree"], POLICY) is None
    refused = check_types(["sklearn.tree._tree.Tree", "posix.system"], POLICY)
    assert refused is not None
    assert refused.reason == "UntrustedTypes"
    assert "posix.system" in refused.message
    assert "sklearn.tree._tree.Tree" not in refused.message


def test_the_runtimes_are_known_without_their_libraries() -> None:
    """The serving process answers health checks before scikit-learn, which takes most of a start, is imported."""
    code = "import sys; import sluice_server.process.serve; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "skops", "mlflow"} & set(found)
    assert "sluice_server.runtimes.skops" in found
