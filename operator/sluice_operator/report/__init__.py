"""A run as one page of HTML that needs nothing else: no network, no scripts."""

from sluice_operator.report.page import page

__all__ = ["page"]
