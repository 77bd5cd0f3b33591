"""What is stored of a machine's reports, and which are refused."""

import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from inventory import (
    documents,
    host_reports,
    package_import,
)
from patchmgr.db import models
from patchmgr.domain.identity import Identity
from patchmgr.errors import (
    InputError,
    OverloadedError,
)
from tests.inventory.machines.conftest import LISTING, RELEASE


def test_an_unchanged_report_is_known_by_its_digest(fleet, statements):
    web = fleet.enrolled()
    assert web.ask().wanted
    web.report()
    fleet.now += timedelta(hours=1)
    speaker = web.speaker()
    statements.clear()

    again = host_reports.ask(fleet.db, speaker, web.digest(), now=fleet.now)

    assert (again.wanted, again.changed) == (False, False)
    assert fleet.host("web").reported_at == fleet.now
    writes = [each for each in statements if each.startswith("UPDATE")]
    assert len(writes) == 1
    with fleet.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.HostPackageSet)) == 1


def test_a_changed_report_is_wanted_and_asks_for_a_scan(fleet):
    web = fleet.enrolled()
    web.report()
    web.sections["dpkg"] = LISTING.replace("3.0.15-1", "3.0.17-1")

    asked, made = web.ask(), web.report()

    assert asked.wanted
    assert (made.changed, made.packages_added, made.packages_removed) == (True, 1, 1)
    with fleet.db.reading() as session:
        runs = session.scalars(select(models.JobRun.job).where(models.JobRun.state == "queued"))
        assert list(runs) == ["scan"]


def test_what_another_way_brought_in_makes_the_report_wanted_again(fleet):
    web = fleet.enrolled()
    web.report()
    path = fleet.folder / "packages.csv"
    path.write_text("hostname,manager,name,version\nweb,dpkg,curl,1\n")
    package_import.import_packages(fleet.db, path, actor="ann", now=fleet.now)

    assert web.ask().wanted


def test_a_report_of_another_release_moves_the_host(fleet):
    web = fleet.enrolled()
    web.report()
    web.sections["os-release"] = RELEASE.replace("12", "13")

    made = web.report()

    assert made.changed
    assert fleet.host("web").platform == "debian:13"
    ((_, _, details),) = fleet.audited("host.platform")[-1:]
    assert details == {"from": "debian:12", "to": "debian:13"}


def test_a_report_that_was_changed_on_its_way_is_refused(fleet):
    web = fleet.enrolled()

    with pytest.raises(InputError, match="digest"):
        host_reports.take(
            fleet.db, web.body(), speaker=web.speaker(), digest=b"x", actor="t", now=fleet.now
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.pop("host"), "host"),
        (lambda d: d.pop("sections"), "sections"),
        (lambda d: d.update(version=2), "version"),
        (lambda d: d.update(version=True), "version"),
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.update(collected_at="yesterday"), "collected_at"),
        (lambda d: d.update(collected_at="2026-03-02T09:30:00"), "collected_at"),
        (lambda d: d.update(host=[]), "host"),
        (lambda d: d["host"].update(hostname=""), "host.hostname"),
        (lambda d: d["host"].update(hostname="a\x00b"), "host.hostname"),
        (lambda d: d["host"].update(machine_id=7), "host.machine_id"),
        (lambda d: d["host"].update(boot_id="x" * 65), "host.boot_id"),
        (lambda d: d["host"].update(addresses="here"), "host.addresses"),
        (lambda d: d["host"].update(addresses=["x"] * 65), "host.addresses"),
        (lambda d: d["host"].update(owner="me"), "host.owner"),
        (lambda d: d.update(sections=[]), "sections"),
        (lambda d: d["sections"].update(dpkg=7), "sections.dpkg"),
        (lambda d: d["sections"].update({str(n): "" for n in range(65)}), "sections"),
        (lambda d: d["sections"].update({"x" * 41: ""}), f"sections.'{'x' * 40}'"),
        (lambda d: d["sections"].update(dpkg="\ud800"), "body"),
        (lambda d: d["sections"].pop("dpkg"), "sections"),
    ],
)
def test_a_report_that_is_none_is_refused_by_its_part(fleet, change, field):
    web = fleet.enrolled()
    before = fleet.host("web").updated_at
    document = json.loads(web.body())
    change(document)

    with pytest.raises(InputError) as refused:
        host_reports.take(
            fleet.db,
            json.dumps(document).encode(),
            speaker=web.speaker(),
            actor="test",
            now=fleet.now,
        )

    assert list(refused.value.problems) == [field]
    assert (fleet.host("web").report_digest, fleet.host("web").updated_at) == (None, before)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 200_000, b'{"a":' * 100_000),
        b'{"version": 1, "version": 1}',
        b'{"version": 1, "host": {}, "sections": {}, "collected_at": NaN}',
    ],
)
def test_what_is_no_report_at_all_is_refused(body):
    with pytest.raises(InputError):
        documents.read(body)


def test_a_report_that_cannot_be_written_soon_is_put_off(fleet, monkeypatch):
    monkeypatch.setattr("patchmgr.db.session.PATIENCE", 0.05)
    web = fleet.enrolled()
    web.report()
    unchanged = web.speaker(), web.digest()
    web.sections["dpkg"] += LISTING.replace("openssl", "curl")

    with fleet.db.writing(alone=True) as session:
        session.execute(select(models.Host).with_for_update()).all()
        with pytest.raises(OverloadedError) as refused:
            web.report()
        with pytest.raises(OverloadedError):
            host_reports.ask(fleet.db, *unchanged, now=fleet.now)

    assert refused.value.seconds > 0
    assert web.report().changed


def test_the_digest_is_of_canonical_json():
    host, sections = Identity("wéb"), {"b": "ü\n", "a": '"\\\x01\x7f'}
    text = r'{"host":{"hostname":"wéb"},"sections":{"a":"\"\\\u0001' + "\x7f" + r'","b":"ü\n"}}'

    assert documents.digest({"hostname": host.hostname}, sections) == (
        hashlib.sha256(text.encode()).digest()
    )
