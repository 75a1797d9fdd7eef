"""The pages as HTML: pure functions of what was read. Their words are those of `kubectl sluice` and of the report."""

from sluice_operator.web.pages import fleet, model, run, sign_in

__all__ = ["fleet", "model", "run", "sign_in"]
