"""`python -m sluice_trainer drift`: how far the requests of a deployed model are from its training data.

Exit codes: 0 there is a report; 1 there are too few rows for one; 2 it cannot be made.
"""

import argparse
import json
import os
from typing import Any

from sluice_trainer import arguments as flags
from sluice_trainer import bin_counts, drift_picture, psi
from sluice_trainer.bin_counts import Served
from sluice_trainer.console import log
from sluice_trainer.errors import UnusableError
from sluice_trainer.psi import FeatureDrift


def add(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("drift", help="compare requests with the training data, feature by feature")
    flags.add_name(parser)
    parser.add_argument("--version", help="of the model (default: the one that answered most)")
    parser.add_argument("--namespace", help="where it is deployed (default: where it answered most)")
    parser.add_argument("--prometheus", help="its address (default: $SLUICE_PROMETHEUS_URL)")
    parser.add_argument(
        "--days", type=flags.positive, default=1, help="how far to look back, in days (default: %(default)s)"
    )
    parser.add_argument("--picture", type=flags.file, help="also draw the report into this file, as SVG")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    prometheus = arguments.prometheus or os.environ.get("SLUICE_PROMETHEUS_URL", "")
    if not prometheus.startswith(("http://", "https://")):
        raise UnusableError(
            "name Prometheus with --prometheus or SLUICE_PROMETHEUS_URL, such as http://prometheus:9090"
        )
    wanted = {"model": arguments.name, "version": arguments.version, "namespace": arguments.namespace}
    selector = {name: value for name, value in wanted.items() if value}
    found = bin_counts.fetch(prometheus, selector, arguments.days)
    if not found:
        raise UnusableError(
            f"Prometheus has no bins of {selector} in the last {arguments.days} d: check the names, that it scrapes "
            "the pods, and that the model was logged with reference bins (docs/trainer.md#reference-bins)"
        )
    served = found[0]
    if served.rows < psi.LEAST_ROWS:
        log(
            f"{title(arguments.name, served)} has answered {served.rows:.0f} rows in the last {arguments.days} d, "
            f"{psi.LEAST_ROWS} are needed: take more --days"
        )
        return 1
    features = sorted(served.features, key=lambda feature: -feature.score)
    if arguments.picture:
        words = f"{title(arguments.name, served)}, {served.rows:.0f} rows of the last {arguments.days} d"
        arguments.picture.write_text(drift_picture.drawn(words, features), encoding="utf-8")
    print(as_json(arguments.name, served, features) if arguments.json else as_text(features))
    return 0


def title(name: str, served: Served) -> str:
    """The version that the report is about."""
    where = f" in {served.namespace}" if served.namespace else ""
    return f"models:/{name}/{served.version}{where}"


def as_text(features: list[FeatureDrift]) -> str:
    """A table, the most drifted feature first; and for each the bin that has moved most."""
    width = max(len("feature"), *(len(feature.name) for feature in features))
    lines = [f"{'feature':{width}}  {'score':>7}  severity  moved most"]
    for feature in features:
        each, seen = max(
            zip(feature.bins, feature.shares, strict=True), key=lambda pair: abs(pair[1] - pair[0].expected)
        )
        moved = f"{each.name} from {each.expected:.1%} to {seen:.1%}"
        lines.append(f"{feature.name:{width}}  {feature.score:>7.3f}  {feature.severity:8}  {moved}")
    return "\n".join(lines)


def as_json(name: str, served: Served, features: list[FeatureDrift]) -> str:
    """The same with all bins."""
    return json.dumps(
        {
            "model": name,
            "version": served.version,
            "namespace": served.namespace,
            "rows": round(served.rows),
            "severity": str(features[0].severity),
            "features": [
                {
                    "name": feature.name,
                    "score": feature.score,
                    "severity": str(feature.severity),
                    "bins": [
                        {"name": each.name, "expected": each.expected, "seen": seen}
                        for each, seen in zip(feature.bins, feature.shares, strict=True)
                    ],
                }
                for feature in features
            ],
        }
    )
