"""The data plane, free of any transport: rows in, a prediction out, with what belongs to it (batching, ids, metrics).

Nothing here knows HTTP, ASGI, JSON bodies or status codes, opens a connection or names a kind of model: those are
in `http` above and `runtimes` below.
"""
