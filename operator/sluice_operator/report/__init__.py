"""A replayed run as one HTML page, which loads nothing: no scripts, no files, no network. And the words for a status
and the calls that make HTML, for all that shows a rollout to people.
"""

from sluice_operator.report.page import content, page, style, title

__all__ = ["content", "page", "style", "title"]
