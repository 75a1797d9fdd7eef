"""What a step of a scikit-learn model says of rows that it does not take, in words for callers.

The signature allows these rows, and a step raises a ValueError for their values, as it does for a fault of the model.
Only its words tell the two apart. So a few of them are known here: those that any client can bring about.
"""

from __future__ import annotations

import re

from sluice_server.runtimes.port import NotFiniteError, UnfitRowsError

_NOT_FINITE = re.compile(r"Input (\w+ )?contains (?P<what>NaN|infinity)")
_OTHERS = re.compile(
    r"Found unknown categories .*"
    r"|`X` contains values beyond the limits of the knots"
    r"|Negative values in data passed to \w+"
    r"|The Box-Cox transformation can only be applied to strictly positive data"
)
_LONGEST = 200  # characters


def refusal(error: ValueError) -> UnfitRowsError | None:
    """What to raise instead of an error that is about the values of a request; None for any other one."""
    text = str(error)
    if found := _NOT_FINITE.search(text):
        return NotFiniteError(
            f"a step of the model gets {found['what']} for a row of this request, so there is no prediction: compare "
            "its values with those that the model was trained on, also which of them are missing"
        )
    if found := _OTHERS.search(text):
        return UnfitRowsError(
            f"a step of the model does not take a row of this request ({found[0][:_LONGEST]}): send values like those "
            "of the training, or train the step to take others, such as OneHotEncoder(handle_unknown='ignore')"
        )
    return None
