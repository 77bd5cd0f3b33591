"""Headers, cookies, forms."""

import re
from dataclasses import replace

import pytest

from patchmgr.domain.accounts import Role
from patchmgr.services import sign_ins
from web.app import create_app
from web.auth import COOKIE


@pytest.fixture
def served(strict_app, sqlite_db, clock, person):
    """A browser of an operator, with forms as they are served."""
    browser = strict_app.test_client()
    key = sign_ins.sign_in(
        sqlite_db,
        person(Role.OPERATOR),
        "a long enough phrase",
        address="127.0.0.1",
        now=clock(),
    )
    browser.set_cookie(COOKIE, key)
    return browser


@pytest.mark.parametrize("address", ["/", "/sign-in", "/healthz", "/nowhere", "/static/app.css"])
def test_every_answer_forbids_inline_code_and_frames(client, address):
    headers = client(None).get(address).headers

    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_are_not_kept_by_caches(client):
    assert client(Role.VIEWER).get("/hosts").headers["Cache-Control"] == "no-store"


def test_https_only_where_the_setting_says_so(sqlite_db, settings, clock):
    app = create_app(sqlite_db, replace(settings, cookie_secure=True), clock)

    answer = app.test_client().get("/sign-in", base_url="https://localhost")

    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize("address", ["/sign-out", "/account/preferences", "/admin/jobs/scan"])
def test_a_form_without_its_token_is_refused(served, address):
    answer = served.post(address, data={"theme": "dark"})

    assert answer.status_code == 400
    assert "load the page again" in answer.text


@pytest.mark.parametrize("credentials", [{}, {"Authorization": "Basic YTpi"}])
def test_what_a_browser_may_send_by_itself_is_no_proof_that_a_program_asks(served, credentials):
    answer = served.post("/api/v1/jobs/scan/runs", headers=credentials)

    assert answer.status_code == 400
    assert answer.json["type"] == "/problems/form-expired"


def test_a_form_with_its_token_is_taken(served):
    token = re.search(r'name="csrf_token" value="([^"]+)"', served.get("/account").text)[1]

    answer = served.post("/account/preferences", data={"theme": "dark", "csrf_token": token})

    assert answer.status_code == 303


def test_the_token_may_come_as_the_header_that_htmx_sends(served):
    token = re.search(r'X-CSRFToken": "([^"]+)"', served.get("/account").text)[1]

    answer = served.post(
        "/account/preferences", data={"theme": "dark"}, headers={"X-CSRFToken": token}
    )

    assert answer.status_code == 303


def test_a_form_of_the_sign_in_page_needs_its_token_too(strict_app):
    answer = strict_app.test_client().post("/sign-in", data={"name": "x", "password": "x"})

    assert answer.status_code == 400


def test_no_page_has_inline_script_or_style(client):
    browser = client(Role.ADMIN)

    for address in ("/", "/hosts", "/findings", "/admin/jobs", "/admin/users", "/account"):
        page = browser.get(address).text
        assert " style=" not in page
        assert "<style" not in page
        assert not re.search(r"<script(?![^>]* src=)", page)
        assert not re.search(r" on[a-z]+=", page)
