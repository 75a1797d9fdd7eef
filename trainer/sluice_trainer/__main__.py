"""`python -m sluice_trainer train`: trains, evaluates, registers, and prints the URI of the new version.

`validate` is in `validation.py`. Progress goes to stderr. The last line of stdout is the result, for scripts. Exit
codes: 0 registered; 2 a flag is wrong, or MLflow cannot be used.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import skops.io

from sluice_trainer import data, forest, registry, validation

_DESCRIPTION = "Validates data, and trains and registers the iris random forest."
RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except registry.UnavailableError as trouble:
        _log(str(trouble))
        return 2
    return code


def _train(arguments: argparse.Namespace) -> int:
    if arguments.no_register and not arguments.output:
        _log("--no-register needs --output: else the model would be lost")
        return 2
    if not arguments.no_register:
        registry.connect(arguments.tracking_uri)
    recipe = forest.Recipe(arguments.trees, arguments.max_depth, arguments.label_noise, arguments.seed)
    dataset = data.iris()
    _log(f"training {recipe.trees} trees on {len(dataset.labels)} iris rows ({forest.HOLDOUT_SHARE:.0%} held out)")
    trained = forest.train(dataset, recipe)
    score = trained.score
    _log(f"hold-out: {score.correct} of {score.total} right (accuracy {score.accuracy:.3f})")
    if arguments.output:
        skops.io.dump(trained.model, arguments.output)
    if arguments.metrics:
        arguments.metrics.write_text(json.dumps(score.as_metrics(), indent=2) + "\n")
    if arguments.no_register:
        print(arguments.output)
        return 0
    published = registry.publish(trained, dataset, arguments.name, arguments.alias)
    alias = f", alias {arguments.alias}" if arguments.alias else ""
    _log(f"registered {published.name} version {published.version}{alias} (run {published.run_id})")
    print(_result(published, score, arguments.alias) if arguments.json else published.uri)
    return 0


def _result(published: registry.Published, score: forest.Score, alias: str | None) -> str:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice_trainer", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="command")
    train = commands.add_parser("train", help="train the iris random forest and register it")
    train.add_argument(
        "--name",
        type=_model_name,
        default=os.environ.get("MLFLOW_MODEL_NAME", "iris"),
        help="registered model name (default: $MLFLOW_MODEL_NAME, else iris)",
    )
    train.add_argument("--tracking-uri", help="MLflow server (default: $MLFLOW_TRACKING_URI)")
    train.add_argument("--alias", type=_alias, help="alias to set on the new version")
    train.add_argument("--trees", type=_positive, default=100, help="number of trees (default: %(default)s)")
    train.add_argument("--max-depth", type=_positive, help="depth limit of each tree (default: none)")
    train.add_argument(
        "--label-noise",
        type=_share,
        default=0.0,
        help="share of training labels replaced by wrong ones, 0 to 1 (default: %(default)s)",
    )
    train.add_argument("--seed", type=int, default=7, help="seed of split, noise and forest (default: %(default)s)")
    train.add_argument("--output", type=_file, help="also write the model here, as skops")
    train.add_argument("--metrics", type=_file, help="also write the metrics here, as JSON")
    train.add_argument(
        "--no-register", action="store_true", help="only write --output and --metrics; no MLflow is needed"
    )
    train.add_argument("--json", action="store_true", help="print one JSON object instead of the URI")
    train.set_defaults(run=_train)
    validation.add(commands)
    return parser


def _model_name(text: str) -> str:
    if not text or "/" in text or ":" in text:
        raise argparse.ArgumentTypeError(f"'{text}' is not a model name: MLflow does not allow '/' and ':' in it")
    return text


def _alias(text: str) -> str:
    if not re.fullmatch(r"[\w-]{1,255}", text) or RESERVED_ALIAS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not an alias: use letters, digits, '_' and '-', and neither 'latest' nor 'v<number>'"
        )
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share between 0 and 1")
    return share


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written: name a file in a folder that exists")
    return path


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
