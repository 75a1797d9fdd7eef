"""Judges a run: from counters that Prometheus scraped to a verdict with its reason and numbers.

`trials` is the door; `metrics` is the only module that asks Prometheus, and all others but these two are pure.
"""
