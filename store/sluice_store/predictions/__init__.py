"""Rows of predictions that are kept for retraining, for a while. Pure."""
