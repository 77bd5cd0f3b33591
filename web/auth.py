"""Who asks, and whether they may: each view names a role, and a view that names none is refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, flash, g, redirect, render_template, request, url_for
from flask import session as form_session
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import accounts as queries
from patchmgr.domain.accounts import Role
from patchmgr.errors import AuthenticationError, ForbiddenError, InputError
from patchmgr.services import accounts, enrolment, sign_ins, tokens
from patchmgr.services.sign_ins import ThrottledError, Viewer
from web.context import context, db, now, session, settings, viewer, viewer_or_none
from web.forms import PasswordForm, PreferencesForm, SignInForm

COOKIE = "patchmgr_session"
PUBLIC = "public"
FEED = "/api/v1/calendar.ics"  # calendar programs know a password, not a bearer token
BY_TOKEN = ("/api/", "/metrics")  # where programs may send a token

pages = Blueprint("auth", __name__)
View = TypeVar("View", bound=Callable[..., Any])


def requires(role: Role) -> Callable[[View], View]:
    """Declare that a view is for ``role`` and the roles above it; stands below the route."""
    return _declare(role)


def public(view: View) -> View:
    """Declare that a view is for everybody, signed in or not."""
    return _declare(PUBLIC)(view)


def hosts_too(view: View) -> View:
    """Declare that a host's own token opens a view as well; it opens no other."""
    view.takes_hosts = True  # type: ignore[attr-defined] # read back by `register`
    return view


def runners_too(view: View) -> View:
    """Declare that a runner's token opens a view; it opens no other."""
    view.takes_runners = True  # type: ignore[attr-defined] # read back by `register`
    return view


def _declare(who: Role | str) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.needs = who  # type: ignore[attr-defined] # read back by `needed`
        return view

    return mark


def needed(app: Flask, endpoint: str) -> Role | str | None:
    """Return the role that ``endpoint`` declares, `PUBLIC`, or None when it declares nothing."""
    if endpoint == "static":
        return PUBLIC
    return getattr(app.view_functions.get(endpoint), "needs", None)


def register(app: Flask) -> None:
    """Check every request before its view."""

    @app.before_request
    def check() -> ResponseReturnValue | None:
        if request.endpoint is None:  # no such page: the error handler answers
            g.viewer = _viewer()
            return None
        role = needed(app, request.endpoint)
        if role == PUBLIC and request.endpoint == "static":
            return None
        if (key := bearer()).startswith(enrolment.HOST_PREFIX):
            if not getattr(app.view_functions[request.endpoint], "takes_hosts", False):
                raise ForbiddenError("a host's token sends its host's reports, and nothing else")
            g.speaker = enrolment.speaker_of(db(), key)
            return None
        g.viewer = _viewer()
        if role == PUBLIC:
            return None
        if role is None:
            raise ForbiddenError("this address declares no role, so nobody may use it")
        if g.viewer is None:
            return _ask_to_sign_in()
        _check_role(app, request.endpoint, g.viewer, Role(role))
        return None


def _check_role(app: Flask, endpoint: str, who: Viewer, needs: Role) -> None:
    """Raise `ForbiddenError` unless ``who`` may use ``endpoint``, which asks for a role."""
    if who.is_runner and not getattr(app.view_functions[endpoint], "takes_runners", False):
        raise ForbiddenError("a runner's token fetches orders and reports on them, only")
    if not who.role.covers(needs):
        raise ForbiddenError(f"this needs the role {needs}; you have the role {who.role}")


def bearer() -> str:
    """Return the key that a program sent where it may; empty when it sent none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    by_token = request.path.startswith(BY_TOKEN) and scheme.lower() == "bearer"
    return key.strip() if by_token else ""


def _viewer() -> Viewer | None:
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    if request.path.startswith(BY_TOKEN) and scheme.lower() == "bearer":
        return tokens.authenticate(db(), bearer(), now=now())
    if request.path == FEED and request.authorization and request.authorization.password:
        return tokens.authenticate(db(), request.authorization.password, now=now())
    if key := request.cookies.get(COOKIE, ""):
        return sign_ins.viewer_of(
            db(),
            key,
            now=now(),
            longest=timedelta(hours=settings().session_hours),
            idle=timedelta(minutes=settings().idle_minutes),
        )
    return None


def _ask_to_sign_in() -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        raise AuthenticationError("send a token: Authorization: Bearer …")
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    address = url_for("auth.sign_in", next=target if target != "/" else None)
    if "HX-Request" in request.headers:  # a fragment must not become a sign-in page
        return "", 401, {"HX-Redirect": address}
    return redirect(address, code=303)


def local(target: str | None) -> str:
    """Return ``target`` when it is a path of this site, else the start page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(character) < 0x20 or character == "\\" for character in target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target


@pages.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    if viewer_or_none():
        return redirect(local(request.args.get("next")))
    return _sign_in_page(SignInForm(formdata=None))


@pages.post("/sign-in")
@public
def start() -> ResponseReturnValue:
    """Check name and password; on success answer with the cookie and the page asked for."""
    form = SignInForm()
    if not form.validate_on_submit():
        return _sign_in_page(form), 422
    try:
        key = sign_ins.sign_in(
            db(),
            form.name.data.strip(),
            form.password.data,
            address=request.remote_addr or "",
            now=now(),
        )
    except ThrottledError as error:
        return _sign_in_page(form, str(error)), 429, {"Retry-After": str(error.seconds)}
    except AuthenticationError as error:
        return _sign_in_page(form, str(error)), 401
    form_session.clear()  # a form token from before the sign-in is worth nothing after it
    response = redirect(local(request.args.get("next")), code=303)
    response.set_cookie(
        COOKIE,
        key,
        max_age=timedelta(hours=context().settings.session_hours),
        secure=settings().cookie_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _sign_in_page(form: SignInForm, problem: str = "") -> str:
    return render_template(
        "auth/sign_in.html", form=form, problem=problem, has_users=queries.has_users(session())
    )


@pages.post("/sign-out")
@requires(Role.VIEWER)
def stop() -> ResponseReturnValue:
    sign_ins.sign_out(db(), viewer(), now=now())
    form_session.clear()
    response = redirect(url_for(".sign_in"), code=303)
    response.delete_cookie(COOKIE, secure=settings().cookie_secure, httponly=True, samesite="Lax")
    return response


@pages.get("/account")
@requires(Role.VIEWER)
def account() -> ResponseReturnValue:
    preferences = PreferencesForm(data={"theme": viewer().theme, "zone": viewer().zone})
    return render_template("auth/account.html", form=PasswordForm(), preferences=preferences)


@pages.post("/account/password")
@requires(Role.VIEWER)
def change_password() -> ResponseReturnValue:
    """Replace one's own password; every sign-in ends, this one too."""
    form = PasswordForm()
    if form.validate_on_submit():
        try:
            accounts.change_password(
                db(),
                viewer().name,
                form.current.data,
                form.password.data,
                actor=viewer().name,
                now=now(),
            )
        except InputError as error:
            form.take(error)
        else:
            flash("The password is changed. Sign in with the new one.")
            return redirect(url_for(".sign_in"), code=303)
    preferences = PreferencesForm(
        formdata=None, data={"theme": viewer().theme, "zone": viewer().zone}
    )
    return render_template("auth/account.html", form=form, preferences=preferences), 422


@pages.post("/account/preferences")
@requires(Role.VIEWER)
def set_preferences() -> ResponseReturnValue:
    """Store theme and zone; the theme is in a cookie too, for the sign-in page."""
    preferences = PreferencesForm()
    try:
        theme = preferences.theme.data or None
        accounts.set_preferences(
            db(), viewer().user_id or 0, theme=theme, zone=preferences.zone.data
        )
    except InputError as error:
        preferences.take(error)
        page = render_template(
            "auth/account.html", form=PasswordForm(formdata=None), preferences=preferences
        )
        return page, 422
    return _remember(redirect(local(request.form.get("back")), code=303), theme)


def _remember(response: Any, theme: str | None) -> Response:
    answer: Response = response
    if theme:
        answer.set_cookie(
            "patchmgr_theme",
            theme,
            max_age=timedelta(days=365),
            secure=settings().cookie_secure,
            httponly=True,
            samesite="Lax",
        )
    return answer
