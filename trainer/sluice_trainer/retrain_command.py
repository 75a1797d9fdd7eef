"""`python -m sluice_trainer retrain`: from labelled predictions of production to a challenger, or to a reason why not.

Exit codes: 0 there is a challenger, or the version that serves stays the best one; 1 the data are too few or too bad;
2 it cannot be done. A second call with the same rows gives the answer of the first one, and does nothing.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd

from sluice_trainer import arguments as flags
from sluice_trainer import (
    champion,
    data,
    forest,
    labelled,
    paired,
    quality,
    registry,
    retraining,
    store_client,
    validate_command,
    versions,
)
from sluice_trainer import retraining_run as runs
from sluice_trainer.console import log
from sluice_trainer.data import Split
from sluice_trainer.errors import UnusableError
from sluice_trainer.labelled import Window
from sluice_trainer.paired import Compared
from sluice_trainer.quality import Schema
from sluice_trainer.registry import Version
from sluice_trainer.retraining import Decision, Outcome, Terms

_CODES = {Outcome.CHALLENGER: 0, Outcome.ARCHIVED: 0, Outcome.TOO_FEW_ROWS: 1, Outcome.QUALITY_TOO_LOW: 1}


def add(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("retrain", help="train from labelled predictions, and register what is better")
    flags.add_name(parser)
    flags.add_tracking_uri(parser)
    flags.add_store(parser)
    parser.add_argument("--model-deployment", help="whose predictions they are (default: as --name)")
    parser.add_argument("--urgent", action="store_true", help="take today's predictions too, and not whole days only")
    parser.add_argument("--champion", help="the version to beat (default: the alias champion of the model)")
    parser.add_argument(
        "--alias", type=flags.alias, default="challenger", help="alias of a better version (default: %(default)s)"
    )
    parser.add_argument("--schema", type=Path, help="what rows must be like, as for validate (default: that of iris)")
    least = Terms()
    parser.add_argument(
        "--min-rows", type=flags.positive, default=least.min_rows, help="different rows (default: %(default)s)"
    )
    parser.add_argument(
        "--min-score", type=float, default=least.min_score, help="quality score of the rows (default: %(default)g)"
    )
    parser.add_argument(
        "--min-gain",
        type=flags.share,
        default=least.min_gain,
        help="how much higher than the champion's the accuracy must be, 0 to 1 (default: %(default)g)",
    )
    flags.add_forest(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Retrain once, unless that was done for these rows already."""
    schema = _schema(arguments.schema)
    store = store_client.connected(arguments.store_url)
    registry.connect(arguments.tracking_uri)
    serving = versions.resolve(arguments.champion or f"models:/{arguments.name}@champion")
    window = (labelled.until_now if arguments.urgent else labelled.whole_days)(time.time(), arguments.days)
    name = arguments.model_deployment or arguments.name
    rows = store.fetch(name, window)
    log(f"{len(rows)} predictions of {name} in {window} have a label" if rows else labelled.none_of(name, window))
    recipe = forest.Recipe(arguments.trees, arguments.max_depth, seed=arguments.seed)
    terms = Terms(arguments.min_rows, arguments.min_score, arguments.min_gain)
    retrain = Retraining(arguments.name, arguments.alias, schema, recipe, terms)
    report = retrain.once(labelled.table(rows, schema), window, serving)
    print(report.as_json() if arguments.json else report.as_text())
    return _CODES[report.outcome]


class Retraining:
    """One retraining of the model `name`; what is better gets `alias`."""

    def __init__(self, name: str, alias: str, schema: Schema, recipe: forest.Recipe, terms: Terms) -> None:
        self._name, self._alias, self._schema = name, alias, schema
        self._recipe, self._terms = recipe, terms
        self._base = data.iris()

    def once(self, table: pd.DataFrame, window: Window, serving: Version) -> runs.Report:
        """From the labelled rows to a report; the one of an earlier call if they are the same. Raises UnusableError."""
        key = retraining.key(self._name, self._base, table, self._schema, self._recipe, self._terms)
        if report := runs.earlier(self._name, key):
            return report
        base = data.split(self._base, forest.HOLDOUT_SHARE, self._recipe.seed)
        usable = retraining.usable(table, self._base, self._schema.label)
        new = retraining.split(usable, base)
        found = runs.Found(serving.uri, str(window), len(usable.labels), quality.measure(table, self._schema))
        document: dict[str, Any] = {"champion": serving.uri, "window": found.window, "rows": found.rows, "uri": None}
        document["quality_score"] = found.quality.score
        with registry.run(self._name) as run_id:
            document["run_id"] = run_id
            runs.log_found(found)
            refused = retraining.refusal(new, found.quality, self._terms)
            if refused:
                return runs.end(key, refused, document)
            trained, compared = self._trained(base, new, serving)
            runs.log_compared(trained, data.joined(self._base, usable), compared)
            decision = retraining.judged(compared, self._terms)
            return runs.end(key, decision, {**document, **compared.as_document(), "uri": self._kept(trained, decision)})

    def _trained(self, base: Split, new: Split, serving: Version) -> tuple[forest.Trained, Compared]:
        """A candidate, and both models on the rows of production that neither was trained on."""
        rows = data.joined(base.train, new.train)
        log(f"training {self._recipe.trees} trees on {len(base.train.labels)} rows and {len(new.train.labels)} new")
        trained = forest.fit(data.Split(rows, base.hold_out), self._recipe)
        theirs = champion.score(champion.load(serving), serving, new.hold_out)
        return trained, paired.compare(forest.score(trained.model, new.hold_out).right, theirs.right)

    def _kept(self, trained: forest.Trained, decision: Decision) -> str | None:
        """The URI of a challenger. Any other candidate is only a file of its run."""
        if decision.outcome is not Outcome.CHALLENGER:
            registry.archive(trained)
            return None
        version = registry.register(trained, self._name)
        registry.set_alias(self._name, self._alias, version)
        log(f"registered {self._name} version {version}, alias {self._alias}")
        return f"models:/{self._name}/{version}"


def _schema(file: Path | None) -> Schema:
    try:
        schema = validate_command.schema_in(file)
    except (OSError, ValueError, quality.BadSchemaError) as error:
        raise UnusableError(f"the schema cannot be used: {error}") from None
    if not schema.label:
        raise UnusableError("the schema names no label: write the column of the classes as `label`")
    return schema
