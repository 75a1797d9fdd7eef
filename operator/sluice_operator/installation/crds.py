"""`python -m sluice_operator.installation.crds FILE --version VERSION`: brings the CRD in the cluster up to date.

Helm installs a CRD once and never changes it, so the chart has a Job that runs this before the operator of a new
version comes. The CRD is replaced, not merged, because what a new version has removed must go. It is never taken back:
of two operators of a cluster, the older one can be upgraded last.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import yaml
from kubernetes.aio import client

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.configuration import configuration
from sluice_operator.kubernetes.port import Conflict, NoAnswer, ReadRefused, WriteRefused

VERSION = "sluice.dev/crd-version"  # annotation: the version of Sluice whose CRD it is
_ATTEMPTS = 5


class CrdError(Exception):
    """The CRD cannot be brought up to date. The text says why, and what to do."""


class Crds(Protocol):
    """The verbs that are needed, on one object. Writes raise Conflict or WriteRefused."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...

    async def replace(self, manifest: Manifest) -> Manifest | None: ...


async def bring_up_to_date(server: Crds, crd: Manifest, version: str) -> str:
    """What was done, as a sentence. `version` is that of Sluice. Raises CrdError, or NoAnswer if nobody answers."""
    for _ in range(_ATTEMPTS):
        current = await _current(server, crd["metadata"]["name"])
        theirs = _version(current)
        if _numbers(theirs) > _numbers(version):
            return f"the CRD is of version {theirs}, newer than {version}, and stays: it serves older operators, too"
        try:
            await server.replace(_replacement(current, crd, version))
        except Conflict:
            continue
        except WriteRefused as error:
            raise CrdError(f"the API server refuses the CRD of version {version}: {error}") from error
        return f"the CRD is of version {version}" + (f", and was of version {theirs}" if theirs else "")
    raise CrdError("somebody else changes the CRD all the time: see who, in its metadata.managedFields")


async def _current(server: Crds, name: str) -> Manifest:
    try:
        current = await server.get("CustomResourceDefinition", "", name)
    except ReadRefused as error:
        raise CrdError(f"the CRD may not be read: {error}. Let an administrator apply it ({_BY_HAND})") from error
    if current is None:
        raise CrdError(f"there is no CRD {name}: was helm run with --skip-crds? Apply it first: {_BY_HAND}")
    return current


_BY_HAND = "kubectl apply --server-side -f chart/crds/, and then crds.upgrade=false"


def _replacement(current: Manifest, crd: Manifest, version: str) -> Manifest:
    """The new CRD in place of the one that was read; labels and annotations of others stay."""
    old, new = current["metadata"], crd["metadata"]
    labels = {**old.get("labels", {}), **new.get("labels", {})}
    annotations = {**old.get("annotations", {}), **new.get("annotations", {}), VERSION: version}
    metadata = {**new, "labels": labels, "annotations": annotations, "resourceVersion": old["resourceVersion"]}
    return {**crd, "metadata": metadata}


def _version(crd: Manifest) -> str:
    return str(crd["metadata"].get("annotations", {}).get(VERSION, ""))


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers: versions before a release are taken for the release."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


async def _run(crd: Manifest, version: str) -> str:
    async with client.ApiClient(await configuration()) as api:
        return await bring_up_to_date(ApiServer(api), crd, version)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 if the CRD could not be brought up to date."""
    parser = argparse.ArgumentParser("sluice_operator.installation.crds")
    parser.add_argument("file", type=Path, help="the CRD, as YAML")
    parser.add_argument("--version", required=True, help="version of Sluice that it is of")
    chosen = parser.parse_args(arguments)
    try:
        print(asyncio.run(_run(yaml.safe_load(chosen.file.read_text(encoding="utf-8")), chosen.version)))
    except (CrdError, NoAnswer) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
