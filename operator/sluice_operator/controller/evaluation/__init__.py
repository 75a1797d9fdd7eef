"""Evaluates runs: samples from Prometheus on their way to `analysis`, and the verdicts that come back."""
