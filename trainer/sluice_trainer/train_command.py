"""`python -m sluice_trainer train`: trains, evaluates, registers, and prints the URI of the new version.

Exit codes: 0 registered; 2 a flag is wrong, or MLflow cannot be used.
"""

import argparse
import json
from typing import Any

import skops.io

from sluice_trainer import arguments as flags
from sluice_trainer import data, forest, registry
from sluice_trainer.console import log
from sluice_trainer.errors import UnusableError


def add(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("train", help="train the iris random forest and register it")
    flags.add_name(parser)
    flags.add_tracking_uri(parser)
    parser.add_argument("--alias", type=flags.alias, help="alias to set on the new version")
    flags.add_forest(parser)
    parser.add_argument(
        "--label-noise",
        type=flags.share,
        default=0.0,
        help="share of training labels replaced by wrong ones, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument("--output", type=flags.file, help="also write the model here, as skops")
    parser.add_argument("--metrics", type=flags.file, help="also write the metrics here, as JSON")
    parser.add_argument(
        "--no-register", action="store_true", help="only write --output and --metrics; no MLflow is needed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the URI")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train one version."""
    if arguments.no_register and not arguments.output:
        raise UnusableError("--no-register needs --output: else the model would be lost")
    if not arguments.no_register:
        registry.connect(arguments.tracking_uri)
    recipe = forest.Recipe(arguments.trees, arguments.max_depth, arguments.label_noise, arguments.seed)
    dataset = data.iris()
    log(f"training {recipe.trees} trees on {len(dataset.labels)} iris rows ({forest.HOLDOUT_SHARE:.0%} held out)")
    trained = forest.train(dataset, recipe)
    score = trained.score
    log(f"hold-out: {score.correct} of {score.total} right (accuracy {score.accuracy:.3f})")
    if arguments.output:
        skops.io.dump(trained.model, arguments.output)
    if arguments.metrics:
        arguments.metrics.write_text(json.dumps(score.as_metrics(), indent=2) + "\n")
    if arguments.no_register:
        print(arguments.output)
        return 0
    published = registry.publish(trained, dataset, arguments.name, arguments.alias)
    alias = f", alias {arguments.alias}" if arguments.alias else ""
    log(f"registered {published.name} version {published.version}{alias} (run {published.run_id})")
    print(_result(published, score, arguments.alias) if arguments.json else published.uri)
    return 0


def _result(published: registry.Version, score: forest.Score, alias: str | None) -> str:
    return json.dumps(
        {
            "uri": published.uri,
            "name": published.name,
            "version": published.version,
            "run_id": published.run_id,
            "alias": alias,
            "metrics": score.as_metrics(),
        }
    )
