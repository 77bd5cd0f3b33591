"""Bodies of requests: whole, or none.

A server that ends the input itself, as gunicorn does, ends it without a word where the client went
away; the part of a file that had come would then be taken for the file. With the length announced,
Werkzeug counts and refuses what is shorter.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Whole:
    """Have the bodies of requests to ``app`` counted, where their length is announced."""

    def __init__(self, app: "WSGIApplication") -> None:
        self.app = app

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
            environ.pop("wsgi.input_terminated", None)
        return self.app(environ, start)


def read(most: int) -> bytes:
    """Return the body of the current request, at most one byte more than ``most``."""
    body = bytearray()
    while len(body) <= most and (piece := request.stream.read(most + 1 - len(body))):
        body += piece
    return bytes(body)
