"""A model of LightGBM in memory, which answers as its class in LightGBM's own API does.

LightGBM is imported without scikit-learn, which its Booster does not need.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sluice_server.model.schema import Rows, Schema
from sluice_server.runtimes import lightgbm_file, row_count
from sluice_server.runtimes.encoding import encoding
from sluice_server.runtimes.finite import finite
from sluice_server.runtimes.lightgbm_categories import check_pairs
from sluice_server.runtimes.lightgbm_file import LightgbmFile
from sluice_server.runtimes.missing import nullable
from sluice_server.runtimes.optional import without
from sluice_server.runtimes.output import Output, Values


class LightgbmModel:
    """See `port.LoadedModel`. It is asked for the rows of `example` to see where it takes missing values.

    `made_up`: the example has nothing of the model's data. `labels`: those of a classifier, in the order of its
    classes; a Booster has numbers only. `rounds`: how many of its rounds are asked, -1 for all.
    """

    def __init__(
        self,
        described: LightgbmFile,
        schema: Schema,
        example: Rows,
        made_up: bool,
        labels: Values | None = None,
        rounds: int = -1,
    ) -> None:
        with without("sklearn", "pandas"):
            import lightgbm  # noqa: PLC0415 - takes most of a start

        names = _as_in(schema, described.names)
        self._encoding = encoding(schema, names, described.width, described.categories)
        check_pairs(described.categories, described.ranges, None if made_up else self._encoding.in_order(example))
        self._booster = lightgbm.Booster(model_str=described.text)
        self._labels = labels
        self._rounds = rounds
        self.classes = None if labels is None else tuple(labels.tolist())
        self.nullable = nullable(self.predict, example)

    def predict(self, rows: Rows) -> Output:
        """The output for rows in the order of the signature; raises what LightGBM raises, and on NaN predictions."""
        matrix = self._encoding.matrix(rows)
        # a pool of threads for one row costs more than it gives
        values = finite(self._booster.predict(matrix, num_iteration=self._rounds, num_threads=1))
        if self._labels is None:
            return Output(values, None, None)
        shares = values if values.ndim > 1 else np.column_stack((1.0 - values, values))
        indexes = np.argmax(shares, axis=1)
        return Output(self._labels[indexes], shares, indexes)


def load(path: Path, schema: Schema, example: Rows, made_up: bool) -> LightgbmModel:
    """The Booster in a text file, which has answered `example`. Raises ModelError, and what LightGBM raises."""
    return proven(LightgbmModel(lightgbm_file.read(path.read_bytes()), schema, example, made_up), example)


def proven(model: LightgbmModel, example: Rows) -> LightgbmModel:
    """The model, which has answered each row of `example`; raises ModelError if it has not."""
    row_count.prove(model.predict, example)
    return model


def _as_in(schema: Schema, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names as the signature has them: LightGBM writes an underscore for each space."""
    if names is None:
        return None
    spelt = {name.replace(" ", "_"): name for name in schema.names}
    return tuple(spelt.get(name, name) for name in names)
