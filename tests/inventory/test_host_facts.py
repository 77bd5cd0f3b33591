"""What a host says of itself is stored once for all that say the same, and shown in full."""

import json

import pytest
from sqlalchemy import func, select

from patchmgr import config
from patchmgr.db import models
from patchmgr.db.queries import facts as queries
from patchmgr.db.queries import hosts
from patchmgr.errors import BadFileError, InputError, NotFoundError
from patchmgr.services import housekeeping

DPKG = "openssl\t3.0.15-1\tamd64\tlibssl3\t3.0.15-1\nbash\t5.2.15-2\tamd64\n"
SECTIONS = {
    "os-release": "ID=debian\nVERSION_ID=12\n",
    "dpkg": DPKG,
    "uname": "6.1.0-18-amd64\n",
    "uname-m": "x86_64\n",
    "reboot-required": "*** System restart required ***\nlibc6\n",
    "needrestart": "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-SVC: nginx.service\n",
    "apt-upgradable": "Listing...\nopenssl/stable 3.0.17-1 amd64 [upgradable from: 3.0.15-1]\n",
    "holds": "bash\n",
}


def document(host="web01", **change):
    sections = SECTIONS | {name.replace("_", "-"): text for name, text in change.items()}
    return json.dumps(
        {
            "version": 1,
            "collected_at": "2026-03-02T09:30:00Z",
            "host": {"hostname": host},
            "sections": {name: text for name, text in sections.items() if text is not None},
        }
    )


def report(inventory, host="web01", **change):
    return inventory.report("", document(host, **change), os="", format="report")


def said(inventory, name="web01"):
    with inventory.db.reading() as session:
        host = hosts.get(session, name)
        found = queries.of_host(session, host)
        return queries.facts_json(host, found), found.updates


def stored(inventory, *tables):
    with inventory.db.reading() as session:
        return [session.scalar(select(func.count()).select_from(each)) for each in tables]


def test_a_report_brings_a_host_with_all_that_it_says(inventory):
    made = report(inventory)

    host = inventory.host("web01")
    assert (made.new, made.host, made.unreadable) == (1, "web01", {})
    assert (host.platform, host.arch, host.running_kernel) == (
        "debian:12", "x86_64", "6.1.0-18-amd64",
    )  # fmt: skip
    assert (host.reboot_pending, host.reboot_reported, host.held) == (True, True, ["bash"])
    facts, updates = said(inventory)
    assert facts["services"] == ["nginx.service"]
    assert facts["reboot_reasons"] == ["/run/reboot-required, left by libc6"]
    assert (facts["modules"], facts["pins"]) == (None, [])
    assert [(u.package, u.installed, u.offered, u.suites) for u in updates] == [
        ("openssl", "3.0.15-1", "3.0.17-1", ("stable",))
    ]


def test_the_same_report_again_changes_nothing(inventory):
    report(inventory)
    before = inventory.size(), stored(inventory, models.AuditEntry, models.FactSet)

    assert report(inventory).unchanged == 1

    assert (inventory.size(), stored(inventory, models.AuditEntry, models.FactSet)) == before


def test_hosts_that_say_the_same_share_what_is_stored(inventory):
    for name in ("web01", "web02", "web03"):
        report(inventory, name)

    assert stored(inventory, models.FactSet, models.OfferSet, models.Candidate) == [1, 1, 1]


def test_what_a_report_leaves_out_is_not_known_any_more(inventory):
    report(inventory)

    made = report(inventory, needrestart=None, apt_upgradable=None, reboot_required=None)

    facts, _ = said(inventory)
    host = inventory.host("web01")
    assert made.changed == 1
    assert (facts["services"], facts["repositories"]) == (None, None)
    assert (host.reboot_pending, host.reboot_reported) == (False, False)


def test_a_plain_listing_leaves_what_was_said(inventory):
    report(inventory)

    inventory.report("web01", DPKG)

    facts, _ = said(inventory)
    assert facts["services"] == ["nginx.service"]
    assert inventory.host("web01").reboot_pending is True


def test_housekeeping_forgets_what_no_host_reports_any_more(inventory, tmp_path):
    report(inventory)
    report(inventory, holds="")
    report(inventory, apt_upgradable="")
    assert stored(inventory, models.FactSet, models.OfferSet) == [2, 2]

    settings = config.load({"PATCHMGR_HOME": str(tmp_path / "home")})
    done = housekeeping.tidy(inventory.db, settings=settings, now=inventory.now)

    assert str(done) == "2 sets of facts and offers"
    assert stored(inventory, models.FactSet, models.OfferSet) == [1, 1]
    assert said(inventory)[0]["services"] == ["nginx.service"]


def test_a_subscription_brings_its_entitlements_and_leaves_others(on_sqlite):
    on_sqlite.hosts("hostname,os_id,os_release,entitlements\nweb01,ubuntu,20.04,eus esm-apps\n")
    services = [{"name": "esm-infra", "status": "enabled"}, {"name": "fips", "status": "enabled"}]
    status = json.dumps({"attached": True, "services": services})

    report(on_sqlite, os_release="ID=ubuntu\nVERSION_ID=20.04\n", pro_status=status)

    assert on_sqlite.host("web01").entitlements == ["esm-infra", "eus"]
    with on_sqlite.db.reading() as session:
        platforms = set(session.scalars(select(models.PackageVersion.platform)))
    assert platforms == {"ubuntu:20.04/esm-infra,eus"}


def test_a_report_that_cannot_be_read_changes_nothing(inventory):
    report(inventory)
    before = inventory.size(), said(inventory)

    for text, error in (
        (document(dpkg="no columns\n"), BadFileError),
        (document()[:-20], InputError),
    ):
        with pytest.raises(error):
            inventory.report("", text, os="", format="report")

    assert (inventory.size(), said(inventory)) == before


def test_what_a_database_cannot_hold_is_not_stored(inventory):
    endless = "9" * 300
    made = report(
        inventory,
        apt_upgradable=f"openssl/stable {endless} amd64 [upgradable from: 3.0.15-1]\n",
        needrestart="NEEDRESTART-VER: 3.6\nNEEDRESTART-SVC: a\0b\n",
        pro_status='{"attached": true, "services": [{"name": "\\u0000"}]}',
    )

    assert made.unreadable.keys() == {"needrestart", "pro-status"}
    facts, updates = said(inventory)
    assert (facts["services"], updates) == (None, ())


def test_a_new_host_must_say_what_it_runs(on_sqlite):
    with pytest.raises(NotFoundError):
        report(on_sqlite, os_release=None)
    assert on_sqlite.names() == []


def test_the_name_that_the_caller_knows_it_by_counts(on_sqlite):
    on_sqlite.report("known", document(), os="debian:12", format="report")

    assert on_sqlite.names() == ["known"]
