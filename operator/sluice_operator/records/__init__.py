"""A run after its end: its record, its replay, and backtests of policies on the past. Pure."""
