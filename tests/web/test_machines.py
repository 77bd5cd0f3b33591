"""Machines over HTTP: enrolment, reports by a host's own token, and pages about who is whom."""

import gzip
import hashlib
import json

import pytest

from inventory import documents
from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.errors import OverloadedError
from patchmgr.services import enrolment, tokens

M1, M2 = "1" * 31 + "a", "1" * 31 + "b"
P1, P2 = (f"4c4c4544-0042-3510-8052-b4c04f4d333{end}" for end in "12")
SECTIONS = {
    "os-release": "ID=debian\nVERSION_ID=12\n",
    "dpkg": "openssl\t3.0.15-1\tamd64\topenssl\t3.0.15-1\tinstall ok installed\n",
}


class Machine:
    """Speaks HTTP as a collector does."""

    def __init__(self, app, hostname="web", machine_id=M1, product_uuid=P1):
        self.client = app.test_client()
        self.said = {
            "hostname": hostname,
            "machine_id": machine_id,
            "product_uuid": product_uuid,
            "boot_id": "",
            "addresses": [],
        }
        self.sections = dict(SECTIONS)
        self.id, self.token = 0, ""

    def enrol(self, key):
        answer = self.client.post("/api/v1/enrolments", json={"token": key, "host": self.said})
        if answer.status_code == 201:
            self.id, self.token = answer.json["id"], answer.json["token"]
        return answer

    def digest(self):
        return documents.digest(self.said, self.sections).hex()

    def post(self, body=b"", host=None, digest=None, **headers):
        address = f"/api/v1/hosts/{host or self.id}/reports"
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        query = {} if digest is None else {"digest": digest}
        return self.client.post(address, data=body, query_string=query, headers=given | headers)

    def ask(self, **more):
        return self.post(digest=self.digest(), **more)

    def report(self, **more):
        document = {"version": 1, "collected_at": "2026-03-02T09:30:00Z"}
        document |= {"host": self.said, "sections": self.sections}
        body = gzip.compress(json.dumps(document).encode(), mtime=0)
        return self.post(body, **{"Content-Encoding": "gzip"}, **more)


@pytest.fixture
def key(sqlite_db, clock):
    def make(**more):
        return enrolment.create_token(sqlite_db, "fleet", actor="ann", now=clock(), **more)[1]

    return make


@pytest.fixture
def web(app, key):
    made = Machine(app)
    assert made.enrol(key()).status_code == 201
    return made


@pytest.fixture
def refused(app, web, key):
    """A second machine that calls itself web."""
    web.report()
    other = Machine(app, machine_id=M2, product_uuid=P2)
    other.key = key()
    other.answer = other.enrol(other.key)
    return other


def test_a_report_is_asked_for_by_its_digest_and_sent_when_it_is_wanted(web):
    asked, sent, again = web.ask(), web.report(), web.ask()

    assert (asked.status_code, asked.json["wanted"]) == (200, True)
    assert (sent.status_code, sent.json["changed"], sent.json["packages"]) == (200, True, 1)
    assert (again.status_code, again.json["wanted"], again.json["changed"]) == (200, False, False)
    assert web.report().json["changed"] is False


def test_the_digest_is_checked_when_it_comes_with_the_report(web):
    wrong = web.report(digest=hashlib.sha256(b"").hexdigest())
    right = web.report(digest=web.digest())

    assert (wrong.status_code, right.status_code) == (422, 200)
    assert "digest" in wrong.json["errors"]
    assert web.ask(host=web.id).status_code == 200
    assert web.post(digest="abc").status_code == 422


def test_a_token_speaks_for_its_host_alone(web, fleet):
    for other in ("web-1", web.id + 1, "nowhere"):
        answers = web.ask(host=other), web.report(host=other)

        assert [answer.status_code for answer in answers] == [403, 403]
        assert "speaks for web only" in answers[0].json["detail"]
    assert web.ask(host="WEB").status_code == 200


OF_ITS_HOST = ("api.lease_of_host", "api.begin_lease", "api.renew_lease", "api.report_on_lease")


def test_a_hosts_token_opens_nothing_else(app, web):
    tried = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/api/", "/metrics")) or rule.endpoint in (
            "api.submit_report",
            *OF_ITS_HOST,
        ):
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            values = dict.fromkeys(rule.arguments, 1)
            with app.test_request_context():
                address = app.url_for(rule.endpoint, **values)
            headers = {"Authorization": f"Bearer {web.token}"}
            answer = web.client.open(address, method=method, headers=headers)
            assert answer.status_code == 403, address
            tried += 1

    assert tried > 50
    page = web.client.get("/hosts", headers={"Authorization": f"Bearer {web.token}"})
    assert (page.status_code, page.location) == (303, "/sign-in?next=/hosts")


def test_other_keys_are_not_a_hosts(app, web, key, sqlite_db, clock):
    _, program = tokens.create(sqlite_db, "ci", Role.VIEWER, actor="ann", now=clock())
    for token in (key(), "pmh_guess", "pm_guess", ""):
        web.token = token
        assert web.ask().status_code == 401
    web.token = program
    assert web.ask().status_code == 403


def test_a_hosts_token_sends_reports_and_no_plain_listing(web):
    listing = web.post(SECTIONS["dpkg"], **{"Content-Type": "text/plain"})

    assert (listing.status_code, list(listing.json["errors"])) == (422, ["Content-Type"])


def test_a_program_may_send_a_report_of_any_host(app, sqlite_db, clock):
    machine = Machine(app)
    _, machine.token = tokens.create(sqlite_db, "ci", Role.OPERATOR, actor="ann", now=clock())

    assert machine.ask(host="web").json["wanted"] is True
    assert machine.report(host="web").json["changed"] is True


def test_a_revoked_token_is_refused(web, admin, sqlite_db):
    with sqlite_db.reading() as session:
        token = session.query(models.ApiToken).filter_by(kind="host").one()

    asked = admin.get(f"/admin/tokens/{token.id}/revoke").text
    admin.post(f"/admin/tokens/{token.id}/revoke")

    assert "host web" in asked
    assert web.report().status_code == 401


def test_enrolment_needs_no_form_token_and_looks_at_no_cookie(strict_app, key):
    assert Machine(strict_app).enrol(key()).status_code == 201
    assert Machine(strict_app).enrol("pme_guess").status_code == 401


def test_guessing_tokens_is_throttled(app):
    machine = Machine(app)
    for _ in range(enrolment.FAILURES):
        machine.enrol("pme_guess")

    answer = machine.enrol("pme_guess")

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_a_busy_service_says_when_to_come_again(web, monkeypatch):
    web.report()

    def full(*_):
        raise OverloadedError(15)

    monkeypatch.setattr("patchmgr.db.last_seen.LastSeen.note", full)
    answer = web.ask()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "15")
    assert answer.json["type"] == "/problems/overloaded"


def test_two_machines_under_one_name_are_a_conflict_with_a_remedy(refused, admin):
    assert refused.answer.status_code == 409
    assert "patchmgr hosts conflicts" in refused.answer.json["detail"]
    coverage = admin.get("/coverage").text
    assert "Two machines, one name" in coverage
    assert 'href="/conflicts/1"' in coverage
    host = admin.get("/hosts/web").text
    assert "was refused" in host
    assert "calls itself web, as the known host does" in host
    assert 'href="/conflicts/1">Decide which host it is' in host
    (told,) = admin.get("/api/v1/hosts/web").json["conflicts"]
    assert "patchmgr hosts resolve 1 --as same" in told["remedy"]
    page = admin.get("/conflicts/1").text
    assert M1 in page
    assert M2 in page


def test_an_admin_decides_on_the_page(refused, admin, operator):
    seen = operator.get("/conflicts/1").text
    assert "An admin decides" in seen
    assert operator.post("/conflicts/1", data={"resolution": "same"}).status_code == 403

    taken = admin.post("/conflicts/1", data={"resolution": "new", "new_name": "web"})
    done = admin.post("/conflicts/1", data={"resolution": "new", "new_name": "web-2"})
    twice = admin.post("/conflicts/1", data={"resolution": "same", "new_name": ""})

    assert (taken.status_code, done.status_code, twice.status_code) == (422, 303, 422)
    assert "is a known host" in taken.text
    assert "called web-2" in admin.get("/conflicts/1").text
    assert refused.enrol(refused.key).json["host"] == "web-2"
    assert refused.report().json["host"] == "web-2"
    assert "Refused machines" not in admin.get("/coverage").text
    page = admin.get("/hosts/web-2").text
    assert "Calls itself" in page
    assert P2 in page


def test_a_program_of_an_admin_can_do_the_same(refused, app, sqlite_db, clock):
    _, token = tokens.create(sqlite_db, "ci", Role.ADMIN, actor="ann", now=clock())
    headers = {"Authorization": f"Bearer {token}"}
    client = app.test_client()

    (listed,) = client.get("/api/v1/conflicts", headers=headers).json
    done = client.post(
        f"/api/v1/conflicts/{listed['id']}/resolve", headers=headers, json={"as": "dismissed"}
    )
    made = client.post(
        "/api/v1/enrolment-tokens", headers=headers, json={"name": "site", "uses": 3}
    )

    assert (listed["host"], listed["says"], listed["kind"]) == ("web", "web", "same_name")
    assert (done.status_code, done.json["state"]) == (200, "dismissed")
    assert done.json["remedy"] == ""
    assert client.get("/api/v1/hosts/web", headers=headers).json["conflicts"] == []
    assert client.get("/api/v1/conflicts", headers=headers).json == []
    assert len(client.get("/api/v1/conflicts?state=all", headers=headers).json) == 1
    assert made.status_code == 201
    assert Machine(app, "new", "", "").enrol(made.json["key"]).status_code == 201


def test_the_key_of_an_enrolment_token_is_shown_once(admin, app):
    form = {"name": "site", "uses": "2", "hours": "24", "host": ""}
    made = admin.post("/admin/users/enrolment", data=form)
    (key,) = [
        word for word in made.text.replace("<", " ").replace(">", " ").split() if word[:4] == "pme_"
    ]
    listed = admin.get("/admin/users/enrolment").text

    assert "site" in listed
    assert key not in listed
    assert Machine(app).enrol(key).status_code == 201
    assert "pme_" in listed  # only in the commands to run


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("uses", "0", "Number must be between"),
        ("hours", "x", "Enter a whole number."),
        ("host", "nowhere", "no host"),
        ("name", "", "Enter a name"),
    ],
)
def test_an_enrolment_form_says_what_is_wrong_at_the_field(admin, field, value, said):
    form = {"name": "site", "uses": "1", "hours": "24", "host": ""} | {field: value}

    answer = admin.post("/admin/users/enrolment", data=form)

    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize("name", ["agent.py", "agent.sh"])
def test_the_collectors_are_for_everybody(app, name):
    answer = app.test_client().get(f"/{name}")

    assert answer.status_code == 200
    assert answer.data.startswith(b"#!/")
    assert answer.content_type.startswith("text/x-")


def test_enrolment_is_found_from_users_and_tokens(admin):
    assert 'href="/admin/users/enrolment"' in admin.get("/admin/users").text
    assert "No enrolment tokens yet" in admin.get("/admin/users/enrolment").text


def test_pages_about_machines_take_few_statements(refused, admin, statements):
    for address in ("/hosts/web", "/coverage", "/conflicts/1", "/admin/users/enrolment"):
        statements.clear()
        assert admin.get(address).status_code == 200
        assert len(statements) <= 12, (address, statements)


def test_a_conflict_that_is_not_there_is_404(admin):
    assert admin.get("/conflicts/7").status_code == 404
    assert admin.post("/conflicts/7", data={"resolution": "same"}).status_code == 404


def test_a_program_may_send_what_other_tools_list_as_json_too(app, sqlite_db, clock):
    machine = Machine(app)
    _, machine.token = tokens.create(sqlite_db, "ci", Role.OPERATOR, actor="ann", now=clock())
    machine.report(host="web")

    listing = machine.post(json.dumps([{"name": "requests", "version": "2.31.0"}]), host="web")

    assert (listing.status_code, listing.json["format"]) == (200, "pip")
    assert listing.json["packages_added"] == 1


def test_a_host_reports_several_managers_at_once(web):
    web.sections["pip"] = json.dumps([{"name": "requests", "version": "2.31.0"}])

    answer = web.report().json

    assert (answer["format"], answer["packages"], answer["packages_added"]) == ("report", 2, 2)
