"""The floor: the same server software answering a constant, to show what the load generator itself can do."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def _hello(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"hello": "world"}, 201)


def main() -> None:
    app = Starlette(routes=[Route("/hello", _hello, methods=["GET", "POST"])])
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
