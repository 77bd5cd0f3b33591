"""Feeds of many documents: what has not changed is not read again, and what it said stands."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from patchmgr.config import Settings
from patchmgr.db import models
from patchmgr.db.queries import feed_contents
from patchmgr.errors import FeedError
from patchmgr.feeds.formats import rpmfixes
from patchmgr.feeds.transport import Limits
from patchmgr.feeds.vendors import redhat_csaf
from patchmgr.services import sync as sync_module
from patchmgr.services.sync import sync
from tests.feeds.test_redhat_csaf import RHSA, document

QUICK = Limits(connect=2, read=2, total=5, attempts=2, backoff=0.001)
VEX = "/vex/changes.csv"
LISTING = "/cvrf/"


@pytest.fixture
def settings(tmp_path, server):
    return Settings(
        home=tmp_path,
        database_url="",
        secret_key="x",
        mirrors={
            "redhat-csaf": (server.url(VEX),),
            "suse-cvrf": (server.url(LISTING),),
            "openeuler-cvrf": (server.url("/index.txt"),),
        },
        feed_shrink_percent=100,
    )


@pytest.fixture
def fetch(db, settings, server, now):
    """Sync a feed; return the paths that were asked for."""

    def call(name):
        server.asked.clear()
        sync(db, name, settings=settings, now=now, actor="scheduler", limits=QUICK)
        return [path for path, _headers in server.asked]

    return call


def standing(db, name):
    """Return the packages that each advisory of a feed speaks of."""
    with db.reading() as session:
        number = session.scalars(select(models.Feed.id).where(models.Feed.name == name)).one()
        return {
            each.ref: sorted(f"{fix.package} {fix.fixed or fix.status}" for fix in each.fixes)
            for each in feed_contents.advisories(session, number)
        }


# Red Hat: an index that says when each document changed; several tell of one advisory.


@pytest.fixture
def vex(server, monkeypatch):
    """Serve a VEX document a CVE, of its day: each package is fixed by RHSA, and "-" is not."""

    def serve(**cves):
        rows = []
        for name, (day, *packages) in cves.items():
            ref = f"CVE-2024-100{name[1:]}"
            fixed = [f"rhel8:rpm/redhat/{each}@1-2?arch=x86_64" for each in packages if each != "-"]
            open_ = ["rhel8:rpm/redhat/kernel?arch=src"] if "-" in packages else []
            said = document(
                {"fixed": fixed, "known_affected": open_},
                ref=ref,
                remediations=[{"category": "vendor_fix", "url": RHSA, "product_ids": fixed}],
            )
            said["vulnerabilities"][0]["cve"] = ref
            body = json.dumps(said).encode()
            path = f"2024/{ref.lower()}.json"
            server.answer((200, {}, body), path=f"/vex/{path}")
            rows.append(f'"{path}","2024-01-{day:02}T00:00:00Z"\n')
        rows.append('"2024/rhsa-2024_0001.json","2020-01-01T00:00:00Z"\n')
        monkeypatch.setattr(redhat_csaf, "NEWEST", len(cves))  # so that it is too old to be read
        server.answer((200, {"ETag": f'"{hash(str(rows))}"'}, "".join(rows).encode()), path=VEX)

    return serve


def test_only_documents_that_have_changed_are_fetched_and_the_rest_stands(db, vex, fetch):
    vex(c1=(1, "a", "-"), c2=(1, "b"))
    fetch("redhat-csaf")
    before = {"CVE-2024-1001": ["kernel no_fix"], "RHSA-2024:0001": ["a 1-2", "b 1-2"]}
    assert standing(db, "redhat-csaf") == before

    vex(c1=(1, "a", "-"), c2=(2, "b", "c"))
    asked = fetch("redhat-csaf")

    assert "/vex/2024/cve-2024-1002.json" in asked
    assert "/vex/2024/cve-2024-1001.json" not in asked
    # What the other document tells of the same advisory is not lost.
    assert standing(db, "redhat-csaf") == before | {"RHSA-2024:0001": ["a 1-2", "b 1-2", "c 1-2"]}


def test_another_reader_reads_every_document_again(db, vex, fetch, monkeypatch):
    vex(c1=(1, "a", "-"), c2=(1, "b"))
    fetch("redhat-csaf")
    assert "/vex/2024/cve-2024-1001.json" not in fetch("redhat-csaf")

    def united(fixes):
        return tuple(replace(fix, fixed=fix.fixed.replace("1-2", "1-3")) for fix in fixes)

    monkeypatch.setattr(rpmfixes, "united", united)
    monkeypatch.setattr(sync_module, "reader_of", lambda _feed: "another")
    asked = fetch("redhat-csaf")

    assert {"/vex/2024/cve-2024-1001.json", "/vex/2024/cve-2024-1002.json"} <= set(asked)
    assert standing(db, "redhat-csaf") == {
        "CVE-2024-1001": ["kernel no_fix"],
        "RHSA-2024:0001": ["a 1-3", "b 1-3"],
    }
    assert "/vex/2024/cve-2024-1001.json" not in fetch("redhat-csaf")


def test_what_the_index_has_no_more_is_withdrawn(db, vex, fetch):
    vex(c1=(1, "-"), c2=(1, "b", "-"))
    fetch("redhat-csaf")

    vex(c2=(1, "b", "-"))
    fetch("redhat-csaf")

    assert set(standing(db, "redhat-csaf")) == {"CVE-2024-1002", "RHSA-2024:0001"}


def test_what_is_not_affected_any_more_is_gone(db, vex, fetch):
    vex(c1=(1, "-", "a"), c2=(1, "-"))
    fetch("redhat-csaf")

    vex(c1=(2, "a"), c2=(1, "-"))
    fetch("redhat-csaf")

    assert set(standing(db, "redhat-csaf")) == {"CVE-2024-1002", "RHSA-2024:0001"}


# SUSE: a listing of links and dates; openEuler: a list of names, each asked whether it changed.

CVRF = """<cvrfdoc><DocumentTitle>{package}</DocumentTitle><DocumentTracking><Identification>
<ID>{ref}</ID></Identification></DocumentTracking><ProductTree>
<Branch Type="Package Arch" Name="x86_64"><FullProductName ProductID="p"
CPE="cpe:/a:openEuler:openEuler:22.03-LTS">{package}-1-2{rpm}</FullProductName></Branch>
<FullProductName ProductID="o">openSUSE Leap 15.5</FullProductName>
<Relationship ProductReference="p" RelationType="x" RelatesToProductReference="o">
<FullProductName ProductID="o:p">x</FullProductName></Relationship></ProductTree></cvrfdoc>"""


def suse(server, *rows, etag):
    text = "".join(f'<a href="{name}">{name}</a> {date}\n' for name, date in rows)
    server.answer((200, {"ETag": etag}, f"<html>{text}".encode()), path=LISTING)


def suse_document(server, number, package):
    body = CVRF.format(ref=f"openSUSE-SU-2024:{number}-1", package=package, rpm="").encode()
    name = f"cvrf-opensuse-su-2024-{number}-1.xml"
    server.answer((200, {}, body), path=f"{LISTING}{name}")
    return name


def test_a_listing_with_dates_says_what_to_read(db, server, fetch):
    one, two = suse_document(server, 1, "a"), suse_document(server, 2, "b")
    suse(server, (one, "2024-01-01 10:00"), (two, "2024-01-01 10:00"), etag='"1"')
    assert fetch("suse-cvrf") == [LISTING, f"{LISTING}{one}", f"{LISTING}{two}"]

    suse_document(server, 2, "c")
    suse(server, (one, "2024-01-01 10:00"), (two, "2024-01-02 10:00"), etag='"2"')
    assert fetch("suse-cvrf") == [LISTING, f"{LISTING}{two}"]
    assert standing(db, "suse-cvrf") == {
        "openSUSE-SU-2024:1-1": ["a 1-2"],
        "openSUSE-SU-2024:2-1": ["c 1-2"],
    }

    suse(server, (one, "2024-01-01 10:00"), etag='"3"')
    assert fetch("suse-cvrf") == [LISTING]
    assert set(standing(db, "suse-cvrf")) == {"openSUSE-SU-2024:1-1"}


def test_one_bad_document_is_all_that_is_read_again(db, server, fetch):
    one, two = suse_document(server, 1, "a"), suse_document(server, 2, "b")
    server.answer((200, {}, b"<cvrfdoc><oops>"), path=f"{LISTING}{two}")
    suse(server, (one, "2024-01-01 10:00"), (two, "2024-01-01 10:00"), etag='"1"')
    fetch("suse-cvrf")

    assert fetch("suse-cvrf") == [LISTING, f"{LISTING}{two}"]
    assert set(standing(db, "suse-cvrf")) == {"openSUSE-SU-2024:1-1"}


def test_a_document_of_another_advisory_than_its_name_says_is_read_every_time(db, server, fetch):
    name = suse_document(server, 1, "a")
    odd = name.replace("-1-1", "-9-1")
    server.answer(*server.answers[f"{LISTING}{name}"], path=f"{LISTING}{odd}")
    two = suse_document(server, 2, "b")
    suse(server, (odd, "2024-01-01 10:00"), (two, "2024-01-01 10:00"), etag='"1"')
    fetch("suse-cvrf")
    suse(server, (odd, "2024-01-01 10:00"), (two, "2024-01-01 10:00"), etag='"2"')

    assert fetch("suse-cvrf") == [LISTING, f"{LISTING}{odd}"]
    assert set(standing(db, "suse-cvrf")) == {"openSUSE-SU-2024:1-1", "openSUSE-SU-2024:2-1"}


def test_a_list_without_dates_has_each_document_asked_whether_it_changed(db, server, fetch):
    names = [f"2024/cvrf-openEuler-SA-2024-{number}.xml" for number in (1, 2)]
    for number, name in enumerate(names, 1):
        ref = f"openEuler-SA-2024-{number}"
        body = CVRF.format(ref=ref, package="a", rpm=".oe2203.x86_64.rpm").encode()
        server.answer((200, {"ETag": f'"{number}"'}, body), (304, {}, b""), path=f"/{name}")
    for etag in ('"1"', '"2"'):
        server.answer((200, {"ETag": etag}, "\n".join(names).encode()), path="/index.txt")
        fetch("openeuler-cvrf")

    asked = [headers.get("If-None-Match") for _path, headers in server.asked]
    assert asked == ['"1"', '"1"', '"2"']
    assert set(standing(db, "openeuler-cvrf")) == {"openEuler-SA-2024-1", "openEuler-SA-2024-2"}


def test_an_index_of_nothing_that_can_be_read_is_no_feed(server, fetch):
    suse(server, ("cvrf-opensuse-su-2024-1-1.xml", "2024-01-01 10:00"), etag='"1"')

    with pytest.raises(FeedError, match="404"):
        fetch("suse-cvrf")
