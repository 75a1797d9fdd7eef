"""What the demo needs to know of the manifest that it applies; read from that file, so that both agree."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from dev.demo.cluster import ROOT

PATH = ROOT / "manifests" / "examples" / "iris.yaml"


@dataclass(frozen=True, slots=True)
class Example:
    path: Path
    name: str
    namespace: str
    host: str
    weights: tuple[int, ...]  # of the canary's steps


def read(path: Path = PATH) -> Example:
    document = yaml.safe_load(path.read_text())
    spec = document["spec"]
    return Example(
        path=path,
        name=document["metadata"]["name"],
        namespace=document["metadata"]["namespace"],
        host=spec["traffic"]["ingress"]["host"],
        weights=tuple(step["weight"] for step in spec["rollout"]["canary"]["steps"]),
    )
