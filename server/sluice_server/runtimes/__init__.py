"""How models of one kind are checked, loaded and asked: one module per runtime, all behind `port.Runtime`.

A runtime knows its MLflow flavor, its file format and its library, and nothing of requests, batching or MLflow's API.
"""
