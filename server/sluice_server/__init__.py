"""The model server: `prepare` checks a model and keeps it, `fetch` brings it into a pod, `serve` answers from it.

From top to bottom, and imports only go down: `process` and `fetch` (the commands), `http`, `inference`, `store`,
`runtimes`, `model`, `logs`, `settings`. Each folder's docstring says what may live there.
"""
