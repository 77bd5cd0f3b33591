"""Bodies of requests: whole, or none.

A server that ends the input itself, as gunicorn does, ends it without a word where the client went
away; the part of a file that had come would then be taken for the file. With the length announced,
Werkzeug counts and refuses what is shorter. What it makes of a chunk that is none is an error of
reading, and the sender's.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Whole:
    """Have the bodies of requests to ``app`` counted, where their length is announced."""

    def __init__(self, app: "WSGIApplication") -> None:
        self.app = app

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
            environ.pop("wsgi.input_terminated", None)
        environ["wsgi.input"] = _Read(environ["wsgi.input"])
        return self.app(environ, start)


class _Read:
    """A body as its server reads it. Raises `ClientDisconnected` (400) when it cannot be read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            body: bytes = self._stream.read() if size < 0 else self._stream.read(size)
        except Exception as error:  # the server's own, each of which means that the body is none
            raise ClientDisconnected from error
        return body


def read_whole(most: int) -> bytes:
    """Return the body of the current request. Raises `RequestEntityTooLarge` past ``most`` bytes.

    What is read into memory as one thing needs a bound of its own: that of all requests is made for
    files, which are written to the disk as they come.
    """
    body = read(most)
    if len(body) > most:
        raise RequestEntityTooLarge
    return body


def read(most: int) -> bytes:
    """Return the body of the current request, at most one byte more than ``most``."""
    body = bytearray()
    while len(body) <= most and (piece := request.stream.read(most + 1 - len(body))):
        body += piece
    return bytes(body)
