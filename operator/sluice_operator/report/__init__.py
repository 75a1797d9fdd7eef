"""A replayed run as one HTML page. It loads nothing: no scripts, no files, no network."""

from sluice_operator.report.page import page

__all__ = ["page"]
