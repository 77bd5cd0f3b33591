"""Bodies of requests, whole or not at all: what a sender breaks off must not pass for a short file.

A server that ends a body by itself, as gunicorn does, hands over what came before a connection was
lost as if it were all. And what it makes of a chunk that is none is an error of reading.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Whole:
    """A WSGI application whose request bodies are as long as they were said to be."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH"):
            environ.pop("wsgi.input_terminated", None)  # so that Werkzeug counts what comes
        environ["wsgi.input"] = _Read(environ["wsgi.input"])
        return self._app(environ, start_response)


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
