"""One translation of errors: to a page, or to problem+json for programs."""

import logging
from collections.abc import Mapping

from flask import Flask, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from patchmgr.errors import (
    AuthenticationError,
    BusyError,
    ConflictError,
    DiskFullError,
    FeedError,
    ForbiddenError,
    InputError,
    NotFoundError,
    OverloadedError,
    PatchmgrError,
    TooOftenError,
    is_full_disk,
)
from patchmgr.services.sign_ins import ThrottledError
from web.auth import FEED

STATUS: dict[type[PatchmgrError], int] = {
    AuthenticationError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    InputError: 422,
    ThrottledError: 429,
    TooOftenError: 429,
    FeedError: 502,
    BusyError: 503,
    DiskFullError: 507,
}
TITLES = {
    400: "That request was not understood",
    401: "Sign in first",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This address does not take that",
    409: "Not possible as things stand",
    413: "That file is too large",
    422: "Something in it has to be corrected",
    429: "Too many tries",
    500: "Something went wrong here",
    502: "A feed did not deliver",
    503: "Busy; try again shortly",
    507: "There is no room left",
}
REMEDIES = {
    404: "Check the address, or search for what you are looking for.",
    405: "Go back and use the buttons of the page.",
    413: "Split the file, or import it with the command line, which has no limit.",
    500: "It is in the service's log with the time of this page. Trying again may help.",
}
SHORTLY = 15  # seconds after which a program that was refused may ask again
FORM_EXPIRED = (
    "The form was open too long, or came from elsewhere. Go back, load the page again, and repeat."
)

_log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Answer deliberate errors, HTTP errors and bugs alike, each once."""
    app.register_error_handler(PatchmgrError, _deliberate)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(NoConnectionError, _database)
    app.register_error_handler(OSError, _file)
    app.register_error_handler(Exception, _bug)


def _deliberate(error: PatchmgrError) -> ResponseReturnValue:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    problems = error.problems if isinstance(error, InputError) else {}
    headers = {}
    if isinstance(error, (ThrottledError, OverloadedError, TooOftenError)):
        headers["Retry-After"] = str(error.seconds)
    return answer(status, error.code, str(error), problems, headers)


def _forged(_error: CSRFError) -> ResponseReturnValue:
    return answer(400, "form-expired", FORM_EXPIRED)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if error.response is not None or status < 400:  # a redirect, or an answer made elsewhere
        return error
    said = error.description or error.name
    allowed = error.valid_methods if isinstance(error, MethodNotAllowed) else None
    return answer(
        status,
        error.name.lower().replace(" ", "-"),
        said if _for_a_program() else REMEDIES.get(status, said),
        headers={"Allow": ", ".join(allowed)} if allowed else {},
    )


def _database(error: OperationalError | NoConnectionError) -> ResponseReturnValue:
    if is_full_disk(error):
        return _full()
    _log.exception("the database did not answer")
    said = "The database did not answer. Try again shortly."
    return answer(503, "database", said, headers={"Retry-After": str(SHORTLY)})


def _file(error: OSError) -> ResponseReturnValue:
    return _full() if is_full_disk(error) else _bug(error)


def _full() -> ResponseReturnValue:
    _log.error("no room left on the disk for %s %s", request.method, request.path)
    return _deliberate(DiskFullError())


def _bug(_error: Exception) -> ResponseReturnValue:
    _log.exception("%s %s", request.method, request.path)
    return answer(500, "internal", REMEDIES[500])


def answer(
    status: int,
    code: str,
    detail: str,
    problems: dict[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ResponseReturnValue:
    """Return an error as a page, or below ``/api/`` as problem+json (RFC 9457)."""
    title = TITLES.get(status, "That did not work")
    headers = dict(headers or {})
    if status == 401:
        # Calendar programs ask for a name and a password only where they are told to.
        headers["WWW-Authenticate"] = 'Basic realm="patchmgr"' if request.path == FEED else "Bearer"
    if _for_a_program():
        problem: dict[str, object] = {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": detail,
        }
        if problems:
            problem["errors"] = problems
        return problem, status, {"Content-Type": "application/problem+json"} | headers
    if status >= 500 or "viewer" not in g:
        g.viewer = None  # without the frame, which asks the database
    page = render_template(
        "error.html", status=status, title=title, detail=detail, problems=problems or {}
    )
    return page, status, headers


def _for_a_program() -> bool:
    return request.path.startswith("/api/")
