"""The model server: `fetch` brings one pinned model into a pod, `serve` answers predictions from it.

From top to bottom, and imports only go down: `process` and `fetch` (the two commands), `http`, `inference`,
`runtimes`, `model`, `logs`, `settings`. Each folder's docstring says what may live there.
"""
