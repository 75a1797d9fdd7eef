"""The params of a request: checked against those of the signature, and given to the model as they are.

What a request leaves out gets the signature's default, from MLflow. A param that the model does not know is refused: it
is a word that was misspelt, or a request for another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sluice_server.inference.cells import type_name
from sluice_server.inference.rejection import Location, Rejection, invalid
from sluice_server.model.params import Param

Params: TypeAlias = Mapping[str, Any]


class ParamReader:
    """Reads the params of requests to one model."""

    def __init__(self, params: Sequence[Param] = ()) -> None:
        self._params = {param.name: param for param in params}

    @property
    def names(self) -> tuple[str, ...]:
        """The params that the model takes."""
        return tuple(self._params)

    def read(self, values: Any) -> Params | Rejection | None:
        """The params, None if there are none, or why not; locations begin inside of `values`."""
        if values is None:
            return None
        if not isinstance(values, dict):
            return invalid((), "dict_type", f"params must be an object, not {type_name(values)}")
        found: dict[str, Any] = {}
        for name, value in values.items():
            param = self._params.get(name)
            if param is None:
                known = ", ".join(map(repr, self.names))
                return invalid((name[:50],), "extra_forbidden", f"the model has no such param, only {known}")
            read = _read(param, value)
            if isinstance(read, Rejection):
                return read
            found[name] = read
        return found or None


NO_PARAMS = ParamReader()


def _read(param: Param, value: Any) -> Any:
    """The value, or a Rejection if it does not fit. Of an object in the signature, MLflow itself knows the fields."""
    needed, fits = _TYPES.get(param.type, ("a value", lambda _: True))
    if not param.is_list:
        return value if fits(value) else _wrong((param.name,), needed, value)
    if not isinstance(value, list):
        return _wrong((param.name,), "a list", value)
    wrong = next((at for at, each in enumerate(value) if not fits(each)), None)
    return value if wrong is None else _wrong((param.name, wrong), needed, value[wrong])


def _wrong(where: Location, needed: str, value: Any) -> Rejection:
    return invalid(where, "value_error", f"{needed} is needed, not {type_name(value)}")


def _whole(bits: int) -> Callable[[Any], bool]:
    limit: int = 2 ** (bits - 1)
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


# By MLflow's names: what to say, and what fits.
_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number of 32 bits", _whole(32)),
    "long": ("a whole number of 64 bits", _whole(64)),
    "float": ("a number", _is_number),
    "double": ("a number", _is_number),
    "string": ("a string", lambda value: isinstance(value, str)),
    "datetime": ("a date as a string, such as 2025-01-31T12:30:00", _is_date),
}
