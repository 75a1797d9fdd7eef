"""The rules of a rollout, one module per part of a run: `starting` (Pending, Starting), `stepping` (Stepping), and
`finishing` (Promoting, Watching, RollingBack).

A rule takes an observation and gives the next status, or None if it has no opinion. Their order is in `decide`.
"""
