"""From a fetched scikit-learn model to an ONNX file that answers the same, or the reason why there is none.

Runs in a process of its own (`python -m sluice_server convert`), which `fetch` starts: a library that breaks, hangs or
takes too much memory costs the conversion and not the model. The serving process imports nothing of it.
"""
