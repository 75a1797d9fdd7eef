"""The model server's HTTP side: ports and paths, headers and bodies, status codes, the OpenAPI document.

Which rows are accepted and what is predicted for them is decided in `inference`. How a prediction is written as JSON,
and which status a rejection has, is decided in `dialects`.
"""
