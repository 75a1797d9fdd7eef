"""The init container: bring one pinned model from MLflow into the pod's model folder, or say why not.

The outcome is a value, written as JSON into the termination message for the operator: `Fetched`, `Refused` (this
version will never be served; exit 3) or `Unavailable` (try again; exit 1). MLmodel is read and checked before anything
larger is downloaded; no type of the model is ever constructed here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from sluice_server.fetch import artifacts, folder, report, trial
from sluice_server.fetch.artifacts import Artifacts
from sluice_server.fetch.example import logged_example, made_up_example
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.fetch.own_process import Limits
from sluice_server.fetch.preflight import NO_SIGNATURE, Candidate, check_files, choose, parse_mlmodel, the_one_to_tell
from sluice_server.inference.rejection import Rejection
from sluice_server.model import manifest, reference
from sluice_server.model.digest import tree_digest
from sluice_server.model.file_names import is_inside
from sluice_server.model.manifest import Manifest, SignatureText
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.origin import Origin
from sluice_server.model.reference import Reference
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import SignatureError, parse_inputs
from sluice_server.runtimes.port import Allowed, Image
from sluice_server.settings import FetchSettings

logger = logging.getLogger("sluice.fetch")
_LONGEST_LINE = 1_000  # characters


def run(settings: FetchSettings) -> int:
    """Fetches, reports, and gives the exit code; see `report.run`."""
    return report.run(settings, lambda: fetch(settings, this_image()))


def fetch(settings: FetchSettings, image: Image, local: bool = False) -> Outcome:
    """Locates, checks and downloads the model; on `Fetched` the model folder holds the files and `sluice.json`.

    `local`: its URI is a path of this machine, and no registry is asked.
    """
    allowed = Allowed(settings.trust, settings.trusted_types, image)
    stored = artifacts.local(settings.model_uri) if local else artifacts.locate(settings.model_uri)
    if not isinstance(stored, Artifacts):
        return stored
    files = artifacts.list_files(stored)
    if isinstance(files, Unavailable | Refused):
        return files
    if refused := check_files(files, allowed):
        return refused
    target = folder.made_anew(settings.model_dir / manifest.FILES)
    candidates = _candidates(stored, target, allowed)
    if not isinstance(candidates, tuple):
        return candidates
    if unavailable := artifacts.download(stored, [file.path for file in files if file.path != "MLmodel"], target):
        return unavailable
    candidate = choose_by_file(target, candidates, allowed)
    if isinstance(candidate, Refused):
        return candidate
    run_id = candidate.model.run_id
    origin = Origin(run_id or "") if local else artifacts.origin_of(settings.model_uri, run_id)
    if isinstance(origin, Unavailable):
        return origin
    found = _describe(candidate, target, origin)
    manifest.write(found, settings.model_dir)
    as_code = _as_code(target, candidates, candidate, allowed)
    if as_code is not None and not trial.is_loaded(settings.model_dir, Limits(image.memory_limit)):
        logger.warning("%s is run as code, which trust: Code allows", settings.model_uri)
        found = _describe(as_code, target, origin)
        manifest.write(found, settings.model_dir)
    return Fetched(found)


def choose_by_file(target: Path, candidates: Sequence[Candidate], allowed: Allowed) -> Candidate | Refused:
    """The first candidate whose runtime accepts the model's file."""
    refusals = list[Refused]()
    for candidate in candidates:
        refused = check_model_file(target, candidate, allowed)
        if refused is None:
            return candidate
        refusals.append(refused)
    return the_one_to_tell(refusals, allowed)


def _as_code(target: Path, candidates: Sequence[Candidate], chosen: Candidate, allowed: Allowed) -> Candidate | None:
    """What would run the model's own code, if that is another candidate than the chosen one, and accepts the file."""
    others = [each for each in candidates if each.runs_code and each is not chosen]
    return next((each for each in others if check_model_file(target, each, allowed) is None), None)


def check_model_file(target: Path, candidate: Candidate, allowed: Allowed) -> Refused | None:
    """Refuses a name that is no file of the artefact, and what the runtime refuses when it checks the file."""
    name = candidate.logged.model_file
    path = target / name
    if not is_inside(name) or not path.is_file() or path.is_symlink():
        return Refused(
            "BadModelFile", f"MLmodel names {name!r}, which is not a file of the artefact: log the model again"
        )
    if refused := candidate.runtime.check_file(target, name, allowed):
        return refused
    return None if _inputs(candidate, target) else NO_SIGNATURE


def _candidates(stored: Artifacts, target: Path, allowed: Allowed) -> tuple[Candidate, ...] | Refused | Unavailable:
    """Downloads MLmodel alone; the runtimes that accept it."""
    if unavailable := artifacts.download(stored, ["MLmodel"], target):
        return unavailable
    model = parse_mlmodel((target / "MLmodel").read_text(encoding="utf-8", errors="replace"))
    if isinstance(model, Refused):
        return model
    return choose(model, allowed)


def _inputs(candidate: Candidate, target: Path) -> str:
    """The signature that was logged, else what the file tells; empty if it tells nothing that can be served."""
    if candidate.model.inputs:
        return candidate.model.inputs
    found = candidate.runtime.inputs(target, candidate.logged.model_file) or ""
    try:
        parse_inputs(found)
    except SignatureError:
        return ""
    return found


def _describe(candidate: Candidate, target: Path, origin: Origin) -> Manifest:
    logged = target / "serving_input_example.json"
    facts = candidate.runtime.facts(target, candidate.logged.model_file)
    inputs = _inputs(candidate, target)
    is_inferred = not candidate.model.inputs
    if is_inferred:
        logger.info("the model was logged without a signature: its file tells the columns: %s", inputs[:_LONGEST_LINE])
    schema = parse_inputs(inputs, is_inferred)
    example = logged_example(logged.read_bytes(), schema) if logged.is_file() else None
    return Manifest(
        digest=tree_digest(target),
        runtime=candidate.runtime.name,
        flavor=candidate.flavor,
        model_file=candidate.logged.model_file,
        signature=SignatureText(inputs, candidate.model.outputs, candidate.params),
        input_example=example if isinstance(example, dict) else made_up_example(schema, facts.known),
        predict_function=candidate.logged.predict_function,
        example_is_made_up=not isinstance(example, dict),
        example_unfit=example.located[: manifest.LONGEST_REASON] if isinstance(example, Rejection) else None,
        origin=origin,
        reference=_reference(candidate.model),
        classes=facts.classes,
        is_steady=facts.is_steady,
        signature_is_inferred=is_inferred,
    )


def _reference(model: MLmodel) -> Reference | None:
    """The reference bins that were logged with the model. It can be served without them, so a fault is only told."""
    text = model.tag(reference.METADATA_KEY)
    try:
        return reference.parse(text) if text else None
    except ValueError as error:
        logger.warning("drift of the features is not measured: %s", error)
        return None
