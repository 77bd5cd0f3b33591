"""Our own static files: addressed by content, cached for ever, compressed once."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, g, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent / "static"
VENDORED = {
    "tabler.css": "vendor/tabler-core-1.6.1/tabler.min.css",
    "htmx.js": "vendor/htmx.org-2.0.11/htmx.min.js",
    "icons.svg": "vendor/tabler-icons-3.51.0/sprite.svg",
    "inter.woff2": "vendor/fontsource-variable-inter-5.3.0/inter-latin-wght-normal.woff2",
}
TEXT = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FONT = ".woff2"  # below a folder named for its version
FOR_EVER = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    """Serve ``/static/<name>``; templates name files by `asset`."""
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=serve)
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """Return the address of a file below ``static``, or of a vendored one by its short name."""
    known: dict[str, str] = g.setdefault("assets", {})  # a page names the same one for each icon
    if name not in known:
        known[name] = _address(name)
    return known[name]


def _address(name: str) -> str:
    path = VENDORED.get(name, name)
    if path.endswith(FONT):  # the stylesheet names fonts too, and both must be one address
        return url_for("static", filename=path)
    return url_for("static", filename=path, v=digest(path))


def serve(filename: str) -> Response:
    """Answer with a file, compressed where the browser takes it and it is text."""
    kind = TEXT.get(Path(filename).suffix)
    if kind and request.accept_encodings["gzip"]:
        response = Response(_compressed(filename), content_type=f"{kind}; charset=utf-8")
        response.content_encoding = "gzip"
    else:
        response = send_from_directory(FOLDER, filename)
    response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = (
        FOR_EVER
        if filename.endswith(FONT) or request.args.get("v") == digest(filename)
        else "public, max-age=300"
    )
    return response


@cache
def digest(path: str) -> str:
    """Return the first digits of the SHA-256 of a static file."""
    return hashlib.sha256(_bytes(path)).hexdigest()[:12]


@cache
def _compressed(path: str) -> bytes:
    return gzip.compress(_bytes(path), 9, mtime=0)


def _bytes(path: str) -> bytes:
    found = (FOLDER / path).resolve()
    if not found.is_relative_to(FOLDER) or not found.is_file():
        raise NotFound
    return found.read_bytes()
