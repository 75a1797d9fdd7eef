"""The rules of a rollout, one module per part of a run.

`initializing` (the first revision), `starting` (Pending, Starting), `stepping` (Stepping), `finishing` (Promoting,
Swapping, Watching, RollingBack), and `failover` (a stable revision without pods).

A rule takes an observation and gives the next status, or None if it has no opinion. Their order is in `decide`.
"""
