"""`python -m sluice_trainer evaluate`: is a version better than the one that serves, on the same hold-out?

No model is loaded: which rows each of them had right is in the tags of its run.
Exit codes: 0 better; 1 worse; 3 cannot tell; 2 they cannot be compared.
"""

import argparse
import json
from typing import Any

from sluice_trainer import arguments as flags
from sluice_trainer import paired, registry, versions
from sluice_trainer.errors import UnusableError
from sluice_trainer.paired import Compared, Verdict
from sluice_trainer.registry import Version

_CODES = {Verdict.BETTER: 0, Verdict.WORSE: 1, Verdict.CANNOT_TELL: 3}


def add(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("evaluate", help="compare a version with the one that serves, on the same hold-out")
    parser.add_argument("--candidate", required=True, help="such as models:/iris/4 or models:/iris@challenger")
    parser.add_argument("--champion", help="the version that serves (default: the alias champion of the same model)")
    flags.add_tracking_uri(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the numbers and the verdict."""
    champion_uri = arguments.champion or f"models:/{versions.name_in(arguments.candidate)}@champion"
    registry.connect(arguments.tracking_uri)
    candidate, champion = versions.resolve(arguments.candidate), versions.resolve(champion_uri)
    compared = _compared(candidate, champion)
    if arguments.json:
        print(json.dumps({"candidate": candidate.uri, "champion": champion.uri, **compared.as_document()}))
    else:
        print(as_text(compared, candidate.uri, champion.uri))
    return _CODES[compared.verdict]


def _compared(candidate: Version, champion: Version) -> Compared:
    ours, theirs = versions.result(candidate), versions.result(champion)
    if ours.digest != theirs.digest:
        raise UnusableError(
            f"{candidate.uri} and {champion.uri} were evaluated on different hold-outs: train both with the same data "
            "and the same --seed"
        )
    return paired.compare(ours.right, theirs.right)


def as_text(compared: Compared, candidate: str, champion: str) -> str:
    """The numbers in two lines, and the verdict in the last one."""
    return "\n".join(
        [
            f"of {compared.total} rows, {candidate} has {compared.candidate} right and {champion} {compared.champion}",
            f"only {candidate} is right for {compared.only_candidate}, only {champion} for {compared.only_champion}: "
            f"if both were equally good, chance would divide so unevenly with probability {compared.p_value:.2g}",
            f"{compared.verdict} (limit {paired.ALPHA:g})",
        ]
    )
