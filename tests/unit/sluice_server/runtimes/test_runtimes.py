"""How a runtime is found."""

from __future__ import annotations

import pytest

from sluice_server import runtimes
from sluice_server.model.mlmodel import MLmodel


def test_each_runtime_is_found_by_its_flavor_and_by_its_name() -> None:
    """What fetch chose by flavor is what the serving process finds under the manifest's name."""
    for runtime in runtimes.RUNTIMES:
        assert runtime in runtimes.for_model(MLmodel({"python_function": {}, runtime.flavor: {}}))
        assert runtimes.by_name(runtime.name) is runtime


def test_a_runtime_that_this_image_does_not_have_is_named() -> None:
    """A folder that a newer image fetched is not loaded with something else."""
    assert runtimes.for_model(MLmodel({"keras": {}})) == ()
    with pytest.raises(LookupError, match="no runtime 'keras'"):
        runtimes.by_name("keras")
