"""The Flask app: everything it works with is passed in, every blueprint is named here."""

from collections.abc import Callable
from datetime import datetime

from flask import Flask, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, ValidationError

from patchmgr.config import Settings
from patchmgr.db.session import Database
from patchmgr.domain.numbers import whole
from web import (
    auth,
    context,
    errors,
    frame,
    pages,
    security,
    show,
    static_files,
)
from web.bodies import Whole

MEBIBYTE = 1024 * 1024
FORM_HOURS = 12


class Id(IntegerConverter):
    """The number of a row in an address; there is nothing at one that no row can have."""

    def to_python(self, value: str) -> int:
        """Return the id. Raises `ValidationError`, which makes another address of it."""
        if (number := whole(value)) is None:
            raise ValidationError
        return number


def create_app(db: Database, settings: Settings, clock: Callable[[], datetime]) -> Flask:
    """Return the app over ``db``; ``clock`` is asked once a request. Tests pass their own."""
    app = Flask("web", static_folder=None)
    app.url_map.converters["int"] = Id
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.upload_mb * MEBIBYTE,
        WTF_CSRF_TIME_LIMIT=FORM_HOURS * 3600,
        WTF_CSRF_SSL_STRICT=settings.cookie_secure,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign] # Werkzeug's documented way
    app.wsgi_app = Whole(app.wsgi_app)  # type: ignore[assignment,method-assign] # Werkzeug's documented way
    context.install(app, context.Context(db, settings, clock))
    security.register(app, settings)
    static_files.register(app)
    show.register(app)
    errors.register(app)
    auth.register(app)
    _protect_forms(app)
    frame.register(app)
    for blueprint in pages.BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def _protect_forms(app: Flask) -> None:
    """Ask every form for its token, except programs: no page can make a browser send their key.

    That is a bearer's; a name and a password a browser sends by itself, once it knows them. What
    the API does for everybody looks at no cookie, so there is nothing to forge.
    """
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    protection = CSRFProtect(app)

    @app.before_request
    def check_form() -> None:
        is_public = auth.needed(app, request.endpoint or "") == auth.PUBLIC
        by_program = request.path.startswith("/api/") and (is_public or auth.bearer())
        if app.config["WTF_CSRF_ENABLED"] and not by_program:  # tests of other things switch it off
            protection.protect()
