"""The rules of a rollout, one module per part of a run.

`initializing` (the first revision), `starting` (Pending, Starting), `stepping` (Stepping), `finishing` (Promoting,
Swapping, Watching, RollingBack), `failover` (a stable revision without pods), and `steering` (what people ask for, and
pauses).

A rule takes an observation and gives the next status, or None if it has no opinion. Their order is in `decide`.
"""
