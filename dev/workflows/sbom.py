"""What is in an image or a package, as CycloneDX: the packages of a lock file, with versions and hashes. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.markers import Marker

_PACKAGE = re.compile(
    r"^(?P<name>[\w.-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>[^\\]+))?", re.ASCII
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IMAGE = {  # where the packages are installed
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}


class Pin(NamedTuple):
    """A package of a lock file. `hashes`: the SHA-256 of each of its files, of which an image has one."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(lock: str) -> Iterator[Pin]:
    """The packages of a lock file that an image has: those for other systems are left out."""
    for entry in re.split(r"\n(?=\w)", lock):
        found = _PACKAGE.match(entry)
        if found is not None and (found["marker"] is None or Marker(found["marker"].strip()).evaluate(_IMAGE)):
            yield Pin(found["name"], found["version"], tuple(_HASH.findall(entry)))


def document(name: str, version: str, lock: str) -> str:
    """The SBOM of an image or package `name`, in JSON of CycloneDX 1.6."""
    bom = Bom()
    bom.metadata.component = Component(name=name, version=version, type=ComponentType.APPLICATION)
    for pin in pins(lock):
        bom.components.add(
            Component(
                name=pin.name,
                version=pin.version,
                bom_ref=f"{pin.name}@{pin.version}",
                type=ComponentType.LIBRARY,
                purl=PackageURL("pypi", name=pin.name, version=pin.version),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
