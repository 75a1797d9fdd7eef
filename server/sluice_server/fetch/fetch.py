"""The init container: bring one pinned model from MLflow into the pod's model folder, or say why not.

The outcome is a value, written as JSON into the termination message for the operator: `Fetched`, `Refused` (this
version will never be served; exit 3) or `Unavailable` (try again; exit 1). MLmodel is read and judged before anything
larger is downloaded; no type of the model is ever constructed here.
"""

from __future__ import annotations

import logging
import platform
import shutil
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
from skops.io import get_untrusted_types

from sluice_server.fetch import artifacts as registry
from sluice_server.fetch.artifacts import Artifacts, Unavailable
from sluice_server.fetch.example import input_example
from sluice_server.fetch.preflight import (
    Image,
    MLmodel,
    Policy,
    Refused,
    check,
    check_files,
    check_types,
    is_inside,
    parse_mlmodel,
)
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.model.manifest import Manifest, SignatureText
from sluice_server.model.schema import parse_inputs
from sluice_server.settings import FetchSettings

MESSAGE_LIMIT = 4096  # bytes that Kubernetes keeps of a termination message
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
logger = logging.getLogger("sluice.fetch")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The model is in its folder; the manifest says what it is."""

    manifest: Manifest


Outcome = Fetched | Refused | Unavailable


def run(settings: FetchSettings) -> int:
    """Fetches, reports, and gives the exit code: 0 fetched, 3 refused for good, 1 worth another try."""
    outcome = fetch(settings, this_image())
    settings.termination_log.write_bytes(report(outcome))
    match outcome:
        case Fetched(found):
            logger.info("fetched %s: %s", settings.model_uri, found.digest)
            return 0
        case Refused(reason, message):
            logger.error("refused %s (%s): %s", settings.model_uri, reason, message)
            return 3
        case Unavailable(reason, message):
            logger.error("cannot fetch %s now (%s): %s", settings.model_uri, reason, message)
            return 1


def fetch(settings: FetchSettings, image: Image) -> Outcome:
    """Locates, judges and downloads the model; on `Fetched` the model folder holds the files and `sluice.json`."""
    policy = Policy(settings.trust, settings.trusted_types, image)
    artifacts = registry.locate(settings.model_uri)
    if not isinstance(artifacts, Artifacts):
        return artifacts
    files = registry.list_files(artifacts)
    if isinstance(files, Unavailable | Refused):
        return files
    if refused := check_files(files, policy):
        return refused
    target = _empty_folder(settings.model_dir / manifest.FILES)
    if unavailable := registry.download(artifacts, ["MLmodel"], target):
        return unavailable
    model = parse_mlmodel((target / "MLmodel").read_text(encoding="utf-8", errors="replace"))
    if isinstance(model, Refused):
        return model
    if refused := check(model, policy):
        return refused
    if unavailable := registry.download(artifacts, [file.path for file in files if file.path != "MLmodel"], target):
        return unavailable
    if refused := check_model_file(target, model.sklearn.pickled_model, policy):
        return refused
    found = _describe(model, target)
    manifest.write(found, settings.model_dir)
    return Fetched(found)


def check_model_file(target: Path, name: str, policy: Policy) -> Refused | None:
    """Looks into the skops archive without constructing anything: sizes, and the types that it would construct."""
    path = target / name
    if not is_inside(name) or not path.is_file() or path.is_symlink():
        return Refused(
            "BadModelFile", f"MLmodel names {name!r}, which is not a file of the artefact: log the model again"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if policy.image.memory_limit is not None and size >= policy.image.memory_limit:
            return Refused(
                "ModelTooLarge",
                f"{name} unpacks to {size / 2**20:.0f} MiB, and the memory limit of the server is "
                f"{policy.image.memory_limit / 2**20:.0f} MiB: raise server.resources.limits.memory",
            )
        types = get_untrusted_types(file=path)
    except Exception as error:  # a hostile file may break the parser in any way; none of them is worth a retry
        return Refused(
            "BadModelFile", f"{name} cannot be read as a skops file ({type(error).__name__}): log the model again"
        )
    return check_types(types, policy)


def report(outcome: Outcome) -> bytes:
    """The termination message, never longer than Kubernetes keeps."""
    match outcome:
        case Fetched(found):
            return _report_fetched(found)
        case Refused(reason, message):
            return msgspec.json.encode({"refused": {"reason": reason, "message": message[:1500]}})
        case Unavailable(reason, message):
            return msgspec.json.encode({"unavailable": {"reason": reason, "message": message[:1500]}})


def this_image() -> Image:
    """The versions of this image and the memory limit of this container."""
    return Image(platform.python_version(), version("scikit-learn"), _memory_limit())


def _report_fetched(found: Manifest) -> bytes:
    content = {
        "digest": found.digest,
        "runtime": found.runtime,
        "flavor": found.flavor,
        "signature": {"inputs": found.signature.inputs, "outputs": found.signature.outputs},
    }
    message = msgspec.json.encode(content)
    if len(message) <= MESSAGE_LIMIT:
        return message
    return msgspec.json.encode(content | {"signature": None})  # a wide signature is still in sluice.json and /metadata


def _describe(model: MLmodel, target: Path) -> Manifest:
    assert model.signature is not None
    assert model.signature.inputs is not None
    logged = target / "serving_input_example.json"
    return Manifest(
        digest=tree_digest(target),
        runtime="skops",
        flavor="sklearn",
        model_file=model.sklearn.pickled_model,
        signature=SignatureText(model.signature.inputs, model.signature.outputs),
        input_example=input_example(
            logged.read_bytes() if logged.is_file() else None, parse_inputs(model.signature.inputs)
        ),
    )


def _empty_folder(path: Path) -> Path:
    """A retried init container finds what the last try left; nothing of it may get into the digest."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _memory_limit() -> int | None:
    for path in CGROUP_LIMITS:
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # no such cgroup version, or "max"
            continue
        return limit if limit < 2**60 else None
    return None
