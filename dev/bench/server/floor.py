"""`python -m dev.bench.server.floor PORT`: a constant reply by uvicorn, which no application can be faster than."""

import sys

import uvicorn
from starlette.types import Receive, Scope, Send

_ANSWER = b'{"predictions":[0],"probabilities":[[1.0,0.0,0.0]]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The constant reply."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


if __name__ == "__main__":
    config = uvicorn.Config(
        app, "127.0.0.1", int(sys.argv[1]), lifespan="off", ws="none", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run()
