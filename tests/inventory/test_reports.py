"""Reports of every kind, and what the host then has: one set, of several managers."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from patchmgr.db import models
from patchmgr.errors import BadFileError, InputError, NotFoundError

SBOM = Path(__file__).parents[1] / "data/inventories/sbom"
PIP = '[{"name": "requests", "version": "2.31.0"}]'
APK = "musl-1.2.4-r2\n"


def bom(*purls, **more):
    parts = [{"name": "x", "purl": purl} for purl in purls]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": parts} | more)


def test_a_listing_of_pip_leaves_what_the_system_has(inventory, now):
    inventory.report("a", "x\t1\ny\t2\n")

    first = inventory.report("a", PIP, os="", format="pip")
    again = inventory.report("a", PIP, os="", format="pip", now=now + timedelta(days=1))

    assert inventory.installed("a") == ["requests 2.31.0", "x 1", "y 2"]
    assert (first.added, first.removed, again.unchanged) == (1, 0, 1)
    assert len(inventory.history("a")) == 2


def test_a_listing_of_the_system_leaves_what_pip_has(inventory):
    inventory.report("a", "x\t1\n")
    inventory.report("a", PIP, format="pip")

    changed = inventory.report("a", "x\t2\n")
    again = inventory.report("a", "x\t2\n")

    assert inventory.installed("a") == ["requests 2.31.0", "x 2"]
    assert (changed.added, changed.removed, again.unchanged) == (1, 1, 1)


def test_an_empty_list_of_pip_says_that_nothing_is_left(inventory):
    inventory.report("a", "x\t1\n")
    inventory.report("a", PIP, format="pip")

    inventory.report("a", "[]", format="pip")

    assert inventory.installed("a") == ["x 1"]


def test_a_host_may_have_python_packages_alone(inventory):
    inventory.report("a", "[]", format="pip")
    assert inventory.installed("a") == []

    inventory.report("a", PIP, format="pip")
    assert inventory.installed("a") == ["requests 2.31.0"]


def test_a_machine_installed_anew_keeps_nothing_of_the_system_before(inventory):
    inventory.report("a", "x\t1\n")
    inventory.report("a", PIP, format="pip")

    inventory.report("a", APK, os="alpine:3.19", format="apk")

    assert inventory.installed("a") == ["musl 1.2.4-r2", "requests 2.31.0"]
    assert inventory.host("a").platform == "alpine:3.19"


def test_what_is_held_stays_where_a_report_does_not_say(inventory):
    inventory.report("a", "x\t1\tall\tx\t1\thold ok installed\n")

    inventory.report("a", PIP, format="pip")

    assert inventory.host("a").held == ["x"]


def test_a_document_brings_its_system_and_its_format_is_recognised(inventory):
    difference = inventory.report("a", (SBOM / "alpine-3.17.cdx.xml").read_text(), os="", format="")

    assert inventory.host("a").platform == "alpine:3.17.2"
    assert (difference.format, difference.rows, difference.not_judged) == ("cyclonedx", 14, 1)
    assert difference.not_judged_why == ("busybox 1.35.0: has no package URL",)


def test_a_system_that_contradicts_the_document_is_refused(inventory):
    text = bom("pkg:deb/debian/x@1?distro=debian-12")

    with pytest.raises(InputError, match="os: 'debian:11' is not what the report is of: debian:12"):
        inventory.report("a", text, os="debian:11", format="cyclonedx")
    with pytest.raises(BadFileError, match="are several systems"):
        inventory.report(
            "a",
            bom("pkg:deb/debian/x@1?distro=debian-12", "pkg:deb/ubuntu/x@1?distro=ubuntu-22.04"),
            format="",
        )

    assert inventory.names() == []


def test_a_less_exact_system_does_not_move_a_known_host(inventory):
    inventory.report("a", APK, os="alpine:3.19", format="apk")
    inventory.report(
        "a", bom("pkg:apk/alpine/musl@1.2.4-r2?distro=alpine-3.19.1"), os="", format=""
    )
    assert inventory.host("a").platform == "alpine:3.19"

    inventory.report(
        "a", bom("pkg:apk/alpine/musl@1.2.5-r0?distro=alpine-3.20.1"), os="", format=""
    )
    assert inventory.host("a").platform == "alpine:3.20.1"


def test_a_document_that_does_not_name_the_system_of_a_new_host_is_refused(on_sqlite):
    with pytest.raises(NotFoundError, match="correct the name, or say its system"):
        on_sqlite.report("a", bom("pkg:deb/debian/x@1"), os="", format="")


def test_what_is_not_judged_is_audited(on_sqlite):
    on_sqlite.report("a", bom("pkg:generic/x@1", "pkg:gem/rails@7"), format="")

    with on_sqlite.db.reading() as session:
        entry = session.scalars(select(models.AuditEntry)).all()[-1]
    assert entry.details["not_judged"] == 1


# --- what of reports cannot be judged stays known


def document(*components):
    whole = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components)}
    return json.dumps(whole)


GEM = {"type": "library", "name": "rails", "version": "7", "purl": "pkg:gem/rails@7"}
NAMELESS = {"type": "library", "name": "nginx", "version": "1.2"}
FOREIGN = {"type": "library", "name": "perl", "version": "5", "purl": "pkg:cpan/perl@5"}


def left(inventory, name="web1"):
    host = inventory.host(name)
    return host.not_judged, host.not_judged_of


def test_entries_that_cannot_be_judged_are_kept_with_why_by_format(inventory):
    inventory.report("web1", document(GEM, NAMELESS, FOREIGN), format="cyclonedx")
    editable = {"name": "x", "version": "1", "editable_project_location": "/x"}
    inventory.report("web1", json.dumps([editable]), format="pip")
    inventory.report("web1", "bash\t5.2-1\tamd64\n")

    count, of = left(inventory)
    numbers = {each: number for each, (number, _) in of.items()}
    assert (count, numbers) == (3, {"cyclonedx": 2, "pip": 1})
    assert of["cyclonedx"][1] == [
        "nginx 1.2: has no package URL",
        "perl 5: is of type cpan, of which no feed speaks",
    ]


def test_the_next_report_of_a_format_and_a_snapshot_of_everything_replace_them(inventory):
    inventory.report("web1", document(GEM, NAMELESS), format="cyclonedx")
    inventory.report("web2", document(GEM, NAMELESS), format="cyclonedx")
    inventory.report("web1", document(GEM), format="cyclonedx")
    assert left(inventory) == (0, {})

    rows = "hostname,manager,name,version\nweb2,dpkg,bash,5.2-1\n"
    inventory.packages(rows, mode="merge")
    assert left(inventory, "web2")[0] == 1
    inventory.packages(rows)
    assert left(inventory, "web2") == (0, {})
