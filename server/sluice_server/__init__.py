"""The model server: `prepare` checks a model and keeps it, `fetch` brings it into a pod, `serve` answers from it.

From top to bottom, and imports only go down: `process` and `fetch` (the commands), `convert` (models to ONNX, in a
process of its own), `http`, `inference`, `store` and `runtimes`, `model`, `logs` and `run_environment`, `settings`,
`otlp_values`. Each folder's docstring says what may live there.
"""
