"""Errors are said once, as a page or as problem+json, and never with a trace."""

import errno
import io
import re

import pytest
from sqlalchemy.exc import OperationalError

from patchmgr.domain.accounts import Role
from patchmgr.errors import (
    BusyError,
    ConflictError,
    FeedUnreachableError,
    ForbiddenError,
    InputError,
    NotFoundError,
    PatchmgrError,
)
from web.auth import requires


@pytest.fixture
def failing(app):
    """Make an address answer with an error, as a page and below /api/."""

    def make(error):
        @requires(Role.VIEWER)
        def fail():
            raise error

        app.view_functions["hosts.index"] = fail
        endpoint, _ = app.url_map.bind("x").match("/api/v1/hosts")
        app.view_functions[endpoint] = fail

    return make


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InputError({"sort": "is unknown"}), 422, "invalid-input"),
        (NotFoundError("host", "x"), 404, "not-found"),
        (ConflictError("it is running"), 409, "conflict"),
        (ForbiddenError("not yours"), 403, "forbidden"),
        (FeedUnreachableError("no answer"), 502, "feed-unreachable"),
        (BusyError("a scan is running"), 503, "busy"),
        (PatchmgrError("unforeseen"), 500, "error"),
    ],
)
def test_each_group_of_errors_has_its_status(client, failing, error, status, code):
    failing(error)
    browser = client(Role.VIEWER)

    page, problem = browser.get("/hosts"), browser.get("/api/v1/hosts")

    assert (page.status_code, problem.status_code) == (status, status)
    assert problem.content_type == "application/problem+json"
    assert problem.json["type"] == f"/problems/{code}"
    assert problem.json["detail"] == str(error)
    assert page.content_type.startswith("text/html")
    assert f"Error {status}" in page.text


def test_a_bug_says_nothing_of_itself(client, failing, caplog):
    failing(RuntimeError("the secret is 42"))

    page = client(Role.VIEWER).get("/hosts")

    assert page.status_code == 500
    assert "42" not in re.sub(r'v=[0-9a-f]+|value="[^"]*"|Token": "[^"]*"', "", page.text)
    assert "the secret is 42" in caplog.text


def test_a_database_that_does_not_answer_is_not_a_bug(client, failing):
    failing(OperationalError("SELECT 1", {}, Exception("locked")))

    assert client(Role.VIEWER).get("/hosts").status_code == 503


def full(code):
    said = Exception("no room")
    said.sqlite_errorcode, said.sqlstate = code if isinstance(code, int) else 0, code
    return OperationalError("INSERT", {}, said)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), full(13), full("53100")],
)
def test_a_full_disk_is_not_a_bug_and_is_said_with_what_to_do(client, failing, error):
    failing(error)

    page, problem = (client(Role.VIEWER).get(address) for address in ("/hosts", "/api/v1/hosts"))

    assert (page.status_code, problem.status_code) == (507, 507)
    assert "nothing of this was kept; make room on it" in problem.json["detail"]
    assert "There is no room left" in page.text


@pytest.mark.parametrize("address", ["/nowhere", "/hosts/nobody", "/feeds/none", "/cves/CVE-1-1"])
def test_what_does_not_exist_is_said_with_what_to_do(client, address):
    answer = client(Role.VIEWER).get(address)

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_unknown_addresses_of_the_api_answer_in_json(client):
    answer = client(None).get("/api/v1/nowhere")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_method_that_an_address_does_not_take_is_refused(client):
    answer = client(Role.VIEWER).post("/hosts")

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_a_program_without_a_token_is_told_how_to_come_back(client):
    answer = client(None).get("/api/v1/hosts")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_an_error_of_ours_does_not_ask_the_database_for_its_page(client, failing, statements):
    browser = client(Role.VIEWER)
    failing(RuntimeError("bug"))
    statements.clear()

    browser.get("/hosts")

    assert len(statements) == 1  # who asks


def test_an_upload_past_the_limit_is_refused(app, client):
    app.config["MAX_CONTENT_LENGTH"] = 10

    answer = client(Role.ADMIN).post("/admin/users", data={"name": "x" * 100})

    assert answer.status_code == 413
    assert "That file is too large" in answer.text


def test_who_need_not_sign_in_cannot_fill_the_memory(client):
    body = b'{"token": "' + b"x" * (1 << 20) + b'", "host": {"hostname": "h"}}'

    answer = client(None).post("/api/v1/enrolments", data=body, content_type="application/json")

    assert answer.status_code == 413
    assert answer.json["title"] == "That file is too large"


@pytest.mark.parametrize("number", ["2147483648", "9" * 30, "9" * 5000])
def test_there_is_nothing_at_a_number_that_no_row_can_have(app, admin, number):
    rules = [rule for rule in app.url_map.iter_rules() if "<int:" in rule.rule]
    assert rules

    for rule in rules:
        address = re.sub(r"<int:[a-z_]+>", number, re.sub(r"<[a-z]+>", "x", rule.rule))
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            answer = admin.open(address, method=method, json={})
            assert answer.status_code in (404, 405), address


@pytest.mark.parametrize("before", ["2147483648", "9" * 5000, "-1", "\u0663", "x"])
def test_a_listing_goes_on_from_no_other_place_than_it_gave(admin, before):
    assert admin.get("/admin/jobs/scan", query_string={"before": before}).status_code in (200, 404)
    refused = admin.get("/api/v1/reports", query_string={"cursor": before})
    assert refused.status_code == 422
    assert set(refused.json["errors"]) == {"cursor"}


def test_a_file_is_no_answer_to_a_question_for_words(app, admin):
    for rule in app.url_map.iter_rules():
        if "POST" not in rule.methods or "<" in rule.rule or rule.rule.startswith("/api/"):
            continue
        words = (
            "name",
            "password",
            "current",
            "reason",
            "theme",
            "zone",
            "host",
            "expires",
            "kind",
        )
        sent = {name: (io.BytesIO(b"x"), "x.csv") for name in words}
        answer = admin.post(rule.rule, data=sent, content_type="multipart/form-data")
        assert answer.status_code < 500, rule.rule
        assert admin.post(rule.rule, json=[5]).status_code < 500, rule.rule


@pytest.mark.parametrize("hours", ["9" * 400, "1e3", "-1", "\u0663", ""])
def test_a_number_in_a_form_may_be_anything(admin, hours):
    sent = {"name": "x", "uses": "1", "hours": hours}

    assert admin.post("/admin/users/enrolment", data=sent).status_code in (200, 422)
