"""What a step of a model says of rows that it does not take, in words for callers.

The signature allows these rows, and a step of scikit-learn or ONNX Runtime fails on their values, as it does where the
model has a fault. Only its words tell the two apart. So those are known here that any client can bring about.
"""

from __future__ import annotations

import re

from sluice_server.runtimes.port import NotFiniteError, UnfitRowsError

_NOT_FINITE = re.compile(r"Input (\w+ )?contains (?P<what>NaN|infinity)")
_SAID = re.compile(
    r"Found unknown categories .*"
    r"|`X` contains values beyond the limits of the knots"
    r"|Negative values in data passed to \w+"
    r"|The Box-Cox transformation can only be applied to strictly positive data"
    r"|X may not contain entries smaller than -skewedness"
    r"|No neighbors found for test samples"
    r"|A value .* in x_new is (above|below) the interpolation range"
    r"|index -?\d+ is out of bounds for axis 1 with size \d+"  # of CategoricalNB
)
# A graph that has answered its example fails on values, or because there is no memory.
_OPERATOR = re.compile(r"while running (?P<operator>\w+) node\..* Status Message: (?P<why>.*)", re.DOTALL)
_MEMORY = re.compile(r"alloc", re.IGNORECASE)
_LONGEST = 200  # characters
_READ = 4_000  # characters of what was said, which may have a text of the request in it


def refusal(error: Exception) -> UnfitRowsError | None:
    """What to raise instead of an error that is about the values of a request; None for any other one."""
    text = str(error)[:_READ]
    if found := _NOT_FINITE.search(text):
        return NotFiniteError(
            f"a step of the model gets {found['what']} for a row of this request, so there is no prediction: compare "
            "its values with those that the model was trained on, also which of them are missing"
        )
    if found := _SAID.search(text):
        return _not_taken("a step", found[0])
    if (found := _OPERATOR.search(text)) and not _MEMORY.search(found["why"]):
        return _not_taken(f"the operator {found['operator']}", found["why"])
    return None


def _not_taken(part: str, said: str) -> UnfitRowsError:
    return UnfitRowsError(
        f"{part} of the model does not take a row of this request ({said[:_LONGEST]}): send values like those of the "
        "training, or train a model that takes others, such as one with OneHotEncoder(handle_unknown='ignore')"
    )
