"""Every address declares who may use it, and nobody else gets through."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import web
from patchmgr.domain.accounts import Role
from web.auth import PUBLIC, local, needed

PUBLIC_ENDPOINTS = {
    "api.enrol_host",  # by its enrolment token
    "api.openapi_json",  # says what there is, nothing that is in it
    "auth.sign_in",
    "auth.start",
    "health.alive",
    "health.metrics",
    "health.ready",
    "machines.agent_py",  # a program without secrets
    "machines.agent_sh",
    "static",
}


def rules(app):
    for rule in app.url_map.iter_rules():
        values = {
            name: 1 if converter.regex == r"\d+" else "x"
            for name, converter in rule._converters.items()
        }
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            with app.test_request_context():
                yield method, app.url_for(rule.endpoint, **values), rule.endpoint


def test_every_address_that_a_template_names_exists(app):
    folder = Path(web.__file__).parent / "templates"
    found = {
        (path.name, name)
        for path in folder.rglob("*.html")
        for name in re.findall(r'url_for\("(\w+(?:\.\w+)?)"', path.read_text("utf-8"))
    }

    assert {one for one in found if one[1] not in app.view_functions} == set()
    assert len(found) > 100


def test_every_address_declares_a_role(app):
    undeclared = {end for _, _, end in rules(app) if needed(app, end) is None}

    assert undeclared == set()


def test_what_is_public_is_named_here(app):
    assert {end for _, _, end in rules(app) if needed(app, end) == PUBLIC} == PUBLIC_ENDPOINTS


def test_nobody_uses_anything_that_is_not_public(app, client):
    nobody = client(None)

    for method, address, endpoint in rules(app):
        if endpoint in PUBLIC_ENDPOINTS:
            continue
        answer = nobody.open(address, method=method)
        if address.startswith("/api/"):
            assert answer.status_code == 401, address
        else:
            assert (answer.status_code, urlsplit(answer.location).path) == (303, "/sign-in")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_refused_what_is_above_it(app, client, role):
    browser = client(role)

    for method, address, endpoint in rules(app):
        wanted = needed(app, endpoint)
        if wanted != PUBLIC and not role.covers(Role(wanted)):
            assert browser.open(address, method=method).status_code == 403, address


def test_a_view_without_a_role_is_refused(app, admin):
    app.view_functions["hosts.index"] = lambda: "anybody"

    assert admin.get("/hosts").status_code == 403


def test_each_role_covers_the_ones_before_it():
    assert [Role.OPERATOR.covers(role) for role in Role] == [True, True, False, False]


@pytest.mark.parametrize(
    "target",
    [
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere",
        "javascript:x",
        "",
        "/\n/x",
    ],
)
def test_signing_in_never_leads_elsewhere(target):
    assert local(target) == "/"


def test_signing_in_leads_to_the_page_asked_for():
    assert local("/hosts?state=overdue") == "/hosts?state=overdue"
