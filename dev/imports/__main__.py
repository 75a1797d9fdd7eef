"""`python -m dev.imports`: which rooms of a package import each other, as a table and as a picture.

A room is a folder in the root of the package, or a single module there. Exit codes: 0 the package was read, also if
imports go up; 2 it could not be read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dev.imports import contract, drawing, reader, table
from dev.imports.survey import survey

ROOT = Path(__file__).parents[2]


def main(argv: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    root: Path = options.root
    try:
        pyproject = reader.read_pyproject(root)
        names = options.packages or contract.root_packages(pyproject)
        if options.svg and len(names) != 1:
            parser.error("--svg draws one package: name it")
        surveys = [survey(reader.read_package(root, name), contract.layers(pyproject, name)) for name in names]
    except (OSError, reader.NotReadError) as trouble:
        parser.error(str(trouble))
    if options.svg:
        options.svg.write_text(drawing.draw(surveys[0]), encoding="utf-8")
    print("\n\n".join([table.totals(surveys), *map(table.floor_plan, surveys)]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.imports", description=__doc__.splitlines()[0])
    parser.add_argument(
        "packages", metavar="PACKAGE", nargs="*", help="default: the root packages of import-linter in pyproject.toml"
    )
    parser.add_argument("--svg", metavar="FILE", type=Path, help="draw the package into this file")
    parser.add_argument(
        "--root", metavar="DIR", type=Path, default=ROOT, help="the source tree to read (default: this one)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
