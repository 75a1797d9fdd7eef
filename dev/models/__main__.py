"""`python -m dev.models`: which models are served, with the least `trust` that they need, and what they answer.

Each model is trained, saved as MLflow saves it, fetched from a real MLflow server, served by a process, and asked for
the same rows in three dialects. The table goes to docs/models.md; progress to the terminal.
"""

import argparse
import itertools
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cloudpickle
import skops.io

from dev import mlflow_server
from dev.models import other_flavors, scikit_learn, table
from dev.models.case import Case
from dev.models.serving import TRUST, Refused, Registry, Served, fetched, served

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def tried(case: Case, registry: Registry, folder: Path) -> table.Row:
    """The case with the least trust with which it is served; else the refusal of the most."""
    logged = case.log()
    saved = folder / "saved"
    logged.save(saved)
    uri, types = registry.upload(saved), _types(saved)
    outcome: Served | Refused = Refused("", "")
    for trust in TRUST:
        place = folder / trust
        outcome = fetched(registry, uri, place, trust, types) or served(place, logged, types)
        if isinstance(outcome, Served):
            return table.Row(case, trust, outcome)
    return table.Row(case, "", outcome)


def _types(saved: Path) -> str:
    """The types that an administrator would have to trust for this model; none if the file is not of skops."""
    file = saved / "model.skops"
    return ",".join(skops.io.get_untrusted_types(file=file)) if file.is_file() else ""


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.models", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of the name of a model or group; nothing is written then")
    only = parser.parse_args(argv).only
    warnings.filterwarnings("ignore")  # those of the training say nothing about serving
    for module in (scikit_learn, other_flavors):  # as in a notebook: no server has its functions and classes
        cloudpickle.register_pickle_by_value(module)
    rows: list[table.Row] = []
    with tempfile.TemporaryDirectory(prefix="sluice-models-") as folder, mlflow_server.running(Path(folder)) as url:
        registry = Registry(url)
        for number, case in enumerate(itertools.chain(scikit_learn.cases(), other_flavors.cases())):
            if only in f"{case.group} {case.name}":
                rows.append(tried(case, registry, Path(folder) / str(number)))
                print(rows[-1].line, flush=True)
    print(dict(Counter(row.trust or "refused" for row in rows)))
    if not only:
        PAGE.write_text(table.page(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
