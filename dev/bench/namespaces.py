"""The namespace that a benchmark has for itself on the cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dev.demo import models
from dev.demo.cluster import Kubectl


@asynccontextmanager
async def empty(kubectl: Kubectl, name: str) -> AsyncIterator[None]:
    """An empty namespace, beside that of the models. It is removed afterwards, also after an error."""
    await _remove(kubectl, name)
    for created in (name, models.NAMESPACE):
        await kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": created}})
    try:
        yield
    finally:
        print(f"removing namespace {name}", flush=True)
        await _remove(kubectl, name)


async def _remove(kubectl: Kubectl, name: str) -> None:
    await kubectl.text("delete", "namespace", name, "--ignore-not-found", "--wait", "--timeout=180s")
