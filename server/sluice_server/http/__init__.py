"""The HTTP door of the model server: ports and paths, headers and bodies, status codes, the OpenAPI document.

What a model is asked and how it answers is in `inference`. How a prediction is written as JSON, and which status a
rejection has, is in `dialects`.
"""
