"""The API: one route table, and a program that does what people do on the pages."""

import gzip
import hashlib
import json
import re

import pytest
from sqlalchemy import update

from inventory import import_work, pieces
from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.services.sync import sync
from web.api.document import openapi
from web.api.routing import ROUTES

LISTING = "".join(
    f"{name}\t{{version}}\tamd64\topenssl\t{{version}}\tinstall ok installed\n"
    for name in ("openssl", "libssl3")
)


@pytest.fixture
def ask(program):
    return program(Role.OPERATOR)


# The document


def test_every_address_is_in_the_document_and_the_other_way_round(app):
    served = {
        (method, re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") and rule.endpoint != "api.docs"
    }
    documented = {
        (method.upper(), path) for path, found in openapi()["paths"].items() for method in found
    }

    assert served == documented
    assert len(documented) == len(ROUTES)


def test_the_document_is_for_everybody_and_names_itself(app):
    found = app.test_client().get("/api/v1/openapi.json").json

    assert found["openapi"] == "3.1.0"
    assert found["info"]["title"] == "patchmgr"


def test_every_reference_of_the_document_leads_somewhere():
    text = json.dumps(openapi())

    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))

    assert wanted <= set(openapi()["components"]["schemas"])


def test_every_operation_is_on_the_page_for_people(admin):
    page = admin.get("/api/v1/docs").text

    assert [one.name for one in ROUTES if f'id="{one.name}"' not in page] == []


# Who may


def test_a_token_opens_what_its_role_may(program):
    viewer = program(Role.VIEWER)

    assert viewer("GET", "/hosts").status_code == 200
    refused = viewer("POST", "/plans", json={})
    assert refused.status_code == 403
    assert refused.mimetype == "application/problem+json"


def test_a_token_that_nobody_made_opens_nothing(works, app):
    answer = app.test_client().get("/api/v1/hosts", headers={"Authorization": "Bearer nonsense"})

    assert (answer.status_code, answer.json["status"]) == (401, 401)


# Reading


def test_pages_follow_each_other_to_the_end(works, ask):
    names, cursor = [], ""
    while cursor is not None:
        page = ask("GET", "/hosts", query_string={"limit": 1, "cursor": cursor}).json
        names += [host["hostname"] for host in page["items"]]
        cursor = page["next"]

    assert names == sorted(works.names)
    assert page["total"] == 4


def test_findings_are_filtered_and_explained(works, ask):
    found = ask("GET", "/findings", query_string={"host": "web-1", "package": "libssl3"}).json
    why = ask("GET", "/hosts/web-1/packages/libssl3/why").json

    (finding,) = found["items"]
    assert (finding["advisory"], finding["severity"], finding["kev"]) == (
        "CVE-2026-1001",
        "high",
        None,
    )
    assert why["host"] == "web-1"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/hosts?limit=0", "limit"),
        ("/hosts?limit=many", "limit"),
        ("/hosts?colour=red", "colour"),
        ("/hosts?cursor=nonsense", "cursor"),
        ("/hosts?limit=1&limit=2", "limit"),
        ("/hosts?owner=%00", "owner"),
        ("/findings?overdue=perhaps", "overdue"),
        ("/feeds?x=1", "x"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(works, ask, path, field):
    answer = ask("GET", path)

    assert answer.status_code == 422
    assert field in answer.json["errors"]


def test_what_is_not_there_is_404(works, ask):
    for path in ("/hosts/nowhere", "/plans/7", "/plans/99999999999999999999", "/advisories/DSA-1"):
        assert ask("GET", path).status_code == 404, path


# A host reports


def test_a_report_says_whether_it_changed_anything(works, ask):
    body = LISTING.format(version="3.0.17-1~deb12u2")

    first = ask("POST", "/hosts/web-1/reports", data=body).json
    again = ask(
        "POST",
        "/hosts/web-1/reports",
        data=gzip.compress(body.encode(), mtime=0),
        headers={"Content-Encoding": "gzip"},
    ).json

    assert (first["changed"], first["packages_added"], first["packages_removed"]) == (True, 2, 2)
    assert again["changed"] is False


def test_a_host_not_seen_before_joins(works, ask):
    body = LISTING.format(version="3.0.17-1~deb12u2")

    refused = ask("POST", "/hosts/new-1/reports", data=body)
    taken = ask("POST", "/hosts/new-1/reports?os=debian:12", data=body)

    assert (refused.status_code, taken.status_code) == (404, 200)
    assert ask("GET", "/hosts/new-1").json["host"]["platform"] == "debian:12"


def test_a_report_of_another_kind_is_recognised_and_says_what_it_cannot_judge(works, ask):
    before = ask("GET", "/hosts/web-1").json["host"]["packages"]
    body = "requests==2.31.0\n-e /srv/mine\n"

    taken = ask("POST", "/hosts/web-1/reports", data=body).json

    assert (taken["format"], taken["packages"], taken["not_judged"]) == ("pip", 1, 1)
    assert taken["not_judged_why"][0].startswith("/srv/mine: ")
    assert ask("GET", "/hosts/web-1").json["host"]["packages"] == before + 1
    refused = ask("POST", "/hosts/web-1/reports?format=deb", data=body)
    assert (refused.status_code, "is no report format" in refused.text) == (422, True)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"not gzip", "gzip"),
        (gzip.compress(b"openssl\t1\n", mtime=0)[:-6], "gzip"),
        (b"", "br"),
        (b"\xff\xfe", "identity"),
        (gzip.compress(b"a" * (33 * 1024 * 1024), mtime=0), "gzip"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused(works, ask, body, encoding):
    headers = {"Content-Encoding": encoding}

    answer = ask("POST", "/hosts/web-1/reports", data=body, headers=headers)

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "path", ["/imports?kind=hosts", "/imports/hosts", "/hosts/web-1/reports?format=dpkg"]
)
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(works, ask, path):
    before = ask("GET", "/imports").json["items"]
    packages = ask("GET", "/hosts/web-1").json["host"]["packages"]
    body = b"bash\t5.2-1\n" if "reports" in path else b"hostname\nnew-1\n"

    answer = ask(  # as gunicorn gives it, when the client went away
        "POST",
        path,
        data=body,
        environ_overrides={"CONTENT_LENGTH": "99999", "wsgi.input_terminated": True},
    )

    assert answer.status_code == 400
    assert ask("GET", "/imports").json["items"] == before
    assert ask("GET", "/hosts/web-1").json["host"]["packages"] == packages
    assert ask("GET", "/hosts/new-1").status_code == 404
    assert not list(works.settings.uploads.glob("*"))


# A plan, by programs


def test_two_programs_bring_a_plan_from_draft_to_done(works, program):
    operator, approver = program(Role.OPERATOR), program(Role.APPROVER)
    body = {"selection": {"packages": ["openssl"]}, "rings": [{"name": "all", "window": "any"}]}

    plan = operator("POST", "/plans", json=body).json
    at = f"/plans/{plan['id']}"
    assert operator("POST", f"{at}/propose").json["state"] == "proposed"
    stale = approver("POST", f"{at}/approve", json={"content_hash": "0"})
    assert stale.status_code == 409
    signed = {"content_hash": plan["content_hash"], "comment": "yes"}
    assert approver("POST", f"{at}/approve", json=signed).json["state"] == "approved"
    assert operator("POST", f"{at}/start").json["state"] == "running"
    work = operator("GET", f"{at}/export").text
    results = "host,result\n" + "".join(f"{name},installed\n" for name in works.names[:2])
    assert operator("POST", f"{at}/results", data=results, content_type="text/csv").json == {
        "changed": 2,
        "unchanged": 0,
    }
    rest = {"results": [{"host": name, "result": "installed"} for name in works.names[2:]]}
    assert operator("POST", f"{at}/results", json=rest).json["changed"] == 2
    works.patched(*works.names)

    assert work.count("openssl") >= 4
    done = operator("GET", at).json
    assert (done["state"], done["rings"][0]["counts"]) == ("completed", {"verified": 4})
    tasks = operator("GET", f"{at}/tasks").json
    assert {task["state"] for task in tasks["items"]} == {"verified"}


def test_who_made_a_plan_by_a_program_cannot_approve_it(works, program):
    approver = program(Role.APPROVER)
    plan = approver("POST", "/plans", json={"selection": {"packages": ["openssl"]}}).json
    approver("POST", f"/plans/{plan['id']}/propose")

    signed = {"content_hash": plan["content_hash"]}

    assert approver("POST", f"/plans/{plan['id']}/approve", json=signed).status_code == 403


def test_results_name_what_is_wrong_with_them(works, ask):
    plan_id = works.started()
    rows = {"results": [{"host": "nowhere", "result": "installed"}]}

    by_json = ask("POST", f"/plans/{plan_id}/results", json=rows)
    by_csv = ask(
        "POST", f"/plans/{plan_id}/results", data="host\nx\n", headers={"Content-Type": "text/csv"}
    )

    assert (by_json.status_code, by_csv.status_code) == (422, 422)
    assert by_json.json["errors"] == {"results.0.host": "there is no such host"}


def test_pausing_needs_a_reason(works, ask):
    plan_id = works.started()

    assert ask("POST", f"/plans/{plan_id}/pause", json={}).status_code == 422
    assert (
        ask("POST", f"/plans/{plan_id}/pause", json={"reason": "lunch"}).json["state"] == "paused"
    )
    assert ask("POST", f"/plans/{plan_id}/pause", json={"reason": "lunch"}).status_code == 409


def test_a_body_must_be_json_and_nothing_else(works, ask):
    extra = ask("POST", "/plans", json={"selection": {}, "colour": "red"})
    form = ask("POST", "/plans", data={"title": "x"})
    broken = ask("POST", "/plans", data="{", headers={"Content-Type": "application/json"})

    assert {extra.status_code, form.status_code, broken.status_code} == {422}
    assert "colour" in extra.json["errors"]


def test_a_host_is_found_by_its_id_as_well(ask):
    (listed,) = ask("GET", "/hosts?search=web-1").json["items"]
    body = LISTING.format(version="3.0.1-1")

    assert ask("GET", f"/hosts/{listed['id']}").json["host"] == listed
    assert ask("POST", f"/hosts/{listed['id']}/reports", data=body).json["host"] == "web-1"
    assert ask("GET", f"/hosts/{listed['id']}/packages").json[0]["version"] == "3.0.1-1"
    assert ask("GET", "/hosts/99999").status_code == 404
    assert ask("GET", f"/hosts/{'9' * 50}").status_code == 404
    assert ask("POST", "/hosts/99999/reports", data=body).status_code == 404


def test_a_program_is_not_told_to_use_buttons(ask):
    answer = ask("DELETE", "/hosts")

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert "button" not in answer.json["detail"]


def test_a_status_that_no_finding_has_is_refused(ask):
    assert ask("GET", "/findings?status=affected").status_code == 200
    assert ask("GET", "/findings?status=fixed").status_code == 422


# Files, reports, jobs


def test_an_import_can_be_tried_first(works, ask):
    csv = "Server,environment\nnew-1,test\n"
    query = {"dry_run": "true", "map": "Server=hostname"}

    tried = ask("POST", "/imports/hosts", data=csv, query_string=query)
    assert (tried.json["new"], ask("GET", "/hosts/new-1").status_code) == (1, 404)
    ask("POST", "/imports/hosts", data=csv, query_string={"map": "Server=hostname"})

    assert ask("GET", "/hosts/new-1").status_code == 200
    assert list(works.settings.uploads.iterdir()) == []


def test_an_import_with_bad_rows_changes_nothing_and_names_them(works, ask):
    bad = "".join(f"not a name {number}\n" for number in range(30))
    answer = ask("POST", "/imports/hosts", data=f"hostname\nnew-1\n{bad}")

    assert answer.status_code == 422
    assert "row 3" in answer.json["detail"]
    assert "and 10 more; POST /api/v1/imports keeps them all" in answer.json["detail"]
    assert ask("GET", "/hosts/new-1").status_code == 404


def test_a_file_is_followed_confirmed_and_read_the_same_way_next_time(works, ask):
    csv = gzip.compress(b"Server\tColour\nnew-1\tred\nnot a name\tred\n")
    wish = {"kind": "hosts", "source": "cmdb", "full_export": "true", "save_mapping": "true"}
    wish["map"] = "Server=hostname,Colour=-"
    sent = ask("POST", "/imports", data=csv, query_string=wish)
    address = sent.headers["Location"].removeprefix("/api/v1")
    assert (sent.status_code, sent.json["state"]) == (202, "waiting")

    import_work.work(works.db, works.settings.uploads, works.clock)
    found = ask("GET", address).json
    assert (found["state"], found["difference"]["new"]) == ("previewed", 1)
    assert found["read"] == "read as UTF-8 from gzip, separated by tab"
    rejects = ask("GET", found["rejects_address"].removeprefix("/api/v1"))
    assert rejects.text.splitlines()[0] == "Server\tColour\treason"
    assert ask("POST", f"{address}/confirm", json={}).status_code == 409
    assert ask("POST", f"{address}/confirm", json={"take_good": True}).json["state"] == "confirmed"
    import_work.work(works.db, works.settings.uploads, works.clock)

    assert ask("GET", address).json["state"] == "applied"
    assert ask("GET", "/hosts/new-1").status_code == 200
    (source,) = ask("GET", "/import-sources").json
    assert (source["name"], source["mapping"]["Server"], source["hosts"]) == ("cmdb", "hostname", 1)
    assert ask("DELETE", "/import-sources/cmdb").status_code == 204


def test_a_file_that_was_sent_can_be_discarded(works, ask):
    sent = ask("POST", "/imports", data=b"hostname\nx\n", query_string={"kind": "hosts"})
    address = sent.headers["Location"].removeprefix("/api/v1")

    assert ask("POST", f"{address}/discard").json["state"] == "discarded"
    assert ask("POST", f"{address}/confirm", json={}).status_code == 409
    assert list(works.settings.uploads.iterdir()) == []


def test_a_file_is_sent_in_pieces_and_goes_on_where_it_stopped(works, ask, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 10)
    file, said = b"hostname\nnew-1\n", {"kind": "hosts", "filename": "h.csv", "size": 15}
    begun = ask("POST", "/uploads", json=said).json
    at = f"/uploads/{begun['id']}"

    def send(offset, digest):
        return ask(
            "POST",
            f"{at}/pieces",
            data=file[offset : offset + 10],
            query_string={"offset": offset, "digest": digest},
        )

    first = hashlib.sha256(file[:10]).hexdigest()
    second = hashlib.sha256((first + hashlib.sha256(file[10:]).hexdigest()).encode()).hexdigest()
    assert send(10, second).status_code == 409
    assert send(0, second).json["errors"].keys() == {"digest"}
    assert send(0, first).json["received"] == 10
    assert ask("POST", "/uploads", json=said).json == ask("GET", at).json
    assert [one["digest"] for one in ask("GET", "/uploads").json] == [first]
    whole = send(10, second).json
    assert send(10, second).json == whole

    assert ask("GET", f"/imports/{whole['import_id']}").json["state"] == "waiting"
    assert ask("DELETE", at).status_code == 409
    other = ask("POST", "/uploads", json=said).json["id"]
    assert ask("DELETE", f"/uploads/{other}").status_code == 204
    assert ask("GET", f"/uploads/{other}").status_code == 404
    assert ask("POST", "/uploads", json={**said, "size": 2**60}).status_code == 422


def test_a_piece_for_which_there_is_no_room_is_answered_507_and_sent_again(works, ask):
    file = b"hostname\nnew-1\n"
    begun = ask("POST", "/uploads", json={"kind": "hosts", "filename": "h.csv", "size": 15}).json
    query = {"offset": 0, "digest": hashlib.sha256(file).hexdigest()}

    def send():
        return ask("POST", f"/uploads/{begun['id']}/pieces", data=file, query_string=query)

    with works.db.reading() as session:
        kept = works.settings.uploads / session.get(models.Upload, begun["id"]).stored
    kept.parent.mkdir()
    kept.symlink_to("/dev/full")  # whatever is written to it does not fit
    full = send()
    assert (full.status_code, full.json["type"]) == (507, "/problems/disk-full")
    assert "what came before this piece is kept; make room on it" in full.json["detail"]
    assert ask("GET", f"/uploads/{begun['id']}").json["received"] == 0
    kept.unlink()

    assert ask("GET", f"/imports/{send().json['import_id']}").json["state"] == "waiting"


def test_a_full_export_without_its_source_is_refused(works, ask):
    query = {"kind": "hosts", "full_export": "true"}

    answer = ask("POST", "/imports", data=b"hostname\nx\n", query_string=query)

    assert answer.status_code == 422
    assert "source" in answer.json["errors"]


def test_a_report_is_made_and_downloaded(works, ask):
    made = ask("POST", "/reports", json={"formats": ["json"]})

    (name,) = made.json["files"]
    body = ask("GET", f"/reports/{made.json['id']}/files/{name}")
    assert (made.status_code, body.status_code) == (201, 200)
    assert ask("GET", "/reports").json["total"] == 1


def test_feeds_and_jobs_are_listed(works, ask):
    feeds = {each["name"]: each for each in ask("GET", "/feeds").json}

    assert (feeds["debian"]["state"], feeds["debian"]["idle"]) == ("ok", False)
    assert {each["state"] for each in feeds.values()} == {"ok", "never"}
    assert ask("GET", "/jobs").json == []
    assert ask("POST", "/jobs/nothing/runs").status_code == 404


def test_a_feed_shows_its_revisions_and_what_each_changed(works, ask):
    release = {"status": "resolved", "urgency": "low", "fixed_version": "1"}
    said = json.loads((works.folder / "debian.json").read_text())
    said["openssl"]["CVE-2026-1002"] = {"releases": {"bookworm": release}}
    path = works.file("debian.json", json.dumps(said))
    sync(works.db, "debian", settings=works.settings, now=works.clock(), actor="x", source=path)

    feed = ask("GET", "/feeds/debian").json
    last, first = ask("GET", "/feeds/debian/revisions").json["items"]
    there = f"/feeds/debian/revisions/{last['id']}"

    assert (feed["hours"], feed["revision_id"]) == (6, last["id"])
    assert ask("GET", there).json["advisories"] == {"new": 1}
    assert ask("GET", there).json["before"] == first["id"]
    (line,) = ask("GET", f"{there}/advisories", query_string={"change": "new"}).json["items"]
    assert (line["ref"], line["change"], line["severity"]) == ("CVE-2026-1002", "new", "low")
    assert ask("GET", f"{there}/notes").json["total"] == 0
    assert ask("GET", "/findings", query_string={"revision": last["id"]}).json["total"] == 0
    assert ask("GET", "/feeds/nix").status_code == 404
    assert ask("GET", "/feeds/debian/revisions/99").status_code == 404


def test_a_feed_that_is_held_is_confirmed(works, ask):
    assert ask("POST", "/feeds/debian/accept-smaller").status_code == 409
    with works.db.writing() as session:
        feed = session.query(models.Feed).filter_by(name="debian").one()
        feed.state, feed.held = "held", {"advisories": [9, 1]}

    answer = ask("POST", "/feeds/debian/accept-smaller")

    assert (answer.status_code, answer.json["job"]) == (202, "sync:debian")
    assert ask("GET", "/feeds/debian").json["smaller_accepted"]


def test_windows_and_freezes_are_added(works, ask):
    window = {"name": "nights", "rrule": "FREQ=DAILY;BYHOUR=3", "duration": "2h", "zone": "UTC"}
    freeze = {
        "name": "Year end",
        "starts": "2026-12-20T00:00:00Z",
        "ends": "2027-01-06T00:00:00+01:00",
        "reason": "Nobody is here.",
    }

    assert ask("POST", "/windows", json=window).json[0]["duration"] == 7200
    assert ask("POST", "/windows", json=window).status_code == 409
    assert ask("POST", "/freezes", json=freeze).json[0]["ends"] == "2027-01-05T23:00:00Z"
    assert ask("POST", "/freezes", json={**freeze, "starts": "now"}).status_code == 422
    # In UTC outside of all years, or in one that calendars cannot count on from.
    for field, at in (("starts", "0001-01-01T00:00:00+14:00"), ("ends", "9999-12-31T23:00:00Z")):
        assert ask("POST", "/freezes", json={**freeze, field: at}).status_code == 422
    assert [one["name"] for one in ask("GET", "/freezes").json] == ["Year end"]


def test_a_program_is_told_what_a_plan_leaves_out_and_what_happened_to_it(works, ask):
    with works.db.writing() as session:
        held = {"held": ["libssl3"]}
        session.execute(update(models.Host).where(models.Host.hostname == "web-1").values(held))
    number = works.started()
    left = ask("GET", f"/plans/{number}/not-planned").json["items"]
    events = ask("GET", f"/plans/{number}/events").json["items"]
    of_host = ask("GET", f"/plans/{number}/events?host=canary-1").json["items"]

    assert [(one["package"], one["hosts"], one["reason"]) for one in left] == [
        ("libssl3", 1, "held on the host"),
        ("openssl", 1, "moves together with libssl3, which is held on the host"),
    ]
    assert "running" in {one["kind"] for one in events if one["by"] == "ann"}
    assert {one["host"] for one in events} == {""}
    assert {one["host"] for one in of_host} == {"canary-1"}
    assert ask("GET", "/plans/99/not-planned").status_code == 404
    assert ask("GET", "/plans/99/events").status_code == 404


def test_a_program_forecasts_and_overrules(works, program):
    ask = program(Role.ADMIN)
    groups = [{"name": "all", "by": "platform", "max_unavailable": "50%"}]
    made = ask("POST", "/plans", json={"groups": groups})
    number = made.json["id"]
    forecast = ask("GET", f"/plans/{number}/forecast?max_concurrent=1")

    assert made.json["groups"][0]["max_unavailable"] == "50%"
    assert forecast.status_code == 200
    assert forecast.json["forecast"]["ends"] > forecast.json["forecast"]["starts"]
    assert forecast.json["compliance"][-1]["findings"] == 0
    late = forecast.json["forecast"]
    assert sum(one["hosts"] for one in late["late_by"]) == late["late_hosts"] == len(late["late"])
    for asked in ("start=soon", "soak=-1h"):
        refused = ask("GET", f"/plans/{number}/forecast?{asked}")
        assert list(refused.json["errors"]) == [asked.partition("=")[0]]
    assert ask("GET", f"/plans/{number}/forecast?start=9999-12-31T23:59:59").status_code == 422
    for path in ("skip-ring", "roll-back"):
        body = {"reason": "r", "ring": "canary"} if path == "skip-ring" else {"reason": "r"}
        body |= {"hosts": ["h"]} if path == "roll-back" else {}
        assert ask("POST", f"/plans/{number}/{path}", json=body).status_code in (404, 409)


def test_a_program_reads_what_a_plan_would_do_as_an_event_log(works, program):
    number = works.create()
    path = f"/plans/{number}/simulation"
    answered = program(Role.OPERATOR)("GET", path)
    lines = [json.loads(line) for line in answered.text.splitlines()]

    assert answered.content_type == "application/x-ndjson"
    assert {one["plan"] for one in lines} == {str(number)}
    assert lines[-1]["kind"] == "ended"
    assert {one["host"] for one in lines if one["kind"] == "verified"} == set(works.names)
    assert program(Role.OPERATOR)("GET", f"/plans/{number}").json["state"] == "draft"
    assert program(Role.VIEWER)("GET", path).status_code == 403
    works.do("cancel", number, reason="r")
    assert program(Role.OPERATOR)("GET", path).status_code == 409
