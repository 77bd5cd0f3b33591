"""Whether a fix can be had decides what a plan may target, and is said with every finding."""

import json
from datetime import timedelta

import pytest

from inventory import submissions
from patchmgr.db.queries import explanations, hosts, plan_content
from patchmgr.db.queries import plans as plan_queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.domain.offers import NOT_YET
from patchmgr.domain.plans import Selection
from patchmgr.domain.terms import Targets, Terms
from patchmgr.errors import ConflictError
from patchmgr.services import holds, sync
from tests.services.conftest import OLD

CURRENT = {
    "openssl": ("3.0.17-1~deb12u1", "openssl"),
    "libssl3": ("3.0.17-1~deb12u1", "openssl"),
    "curl": ("7.88.1-10+deb12u8", "curl"),
}


@pytest.fixture
def archive(fleet):
    """Let Debian's security archive offer name -> (version, source), perhaps (…, percentage)."""

    def offer(**packages):
        folder = fleet.folder / "dists" / "bookworm-security"
        folder.mkdir(parents=True, exist_ok=True)
        stanzas = (
            f"Package: {name}\nSource: {source}\nVersion: {version}\nArchitecture: amd64\n"
            + "".join(f"Phased-Update-Percentage: {percentage}\n" for percentage in phased)
            for name, (version, source, *phased) in packages.items()
        )
        (folder / "Packages").write_text("\n".join(stanzas))
        sync.sync(
            fleet.db,
            "archive",
            source=folder / "Packages",
            platform="debian:12",
            settings=fleet.settings,
            now=fleet.now,
            actor="test",
        )

    return offer


def targets(fleet, plan_id):
    with fleet.db.reading() as session:
        lines = plan_content.changes(session, plan_id).lines
    return {line.package: (line.to_version, line.advisories) for line in lines}


def phased(fleet, plan_id):
    with fleet.db.reading() as session:
        return plan_queries.get(session, plan_id, now=fleet.now).summary["phased"]


def reasons(fleet, plan_id):
    with fleet.db.reading() as session:
        return {why for why in plan_content.reasons(session, plan_id) if "offers" in why}


def offered(fleet, package):
    with fleet.db.reading() as session:
        found = explanations.explain(session, "b1", package, at=fleet.now)
    return {
        each.advisory: each.supply and each.supply.words
        for one in found.installed
        for each in one.considered
    }


def test_without_a_repository_a_plan_targets_what_the_vendor_says(fleet):
    plan_id = fleet.create()

    assert targets(fleet, plan_id)["openssl"][0] == "3.0.17-1~deb12u2"
    assert reasons(fleet, plan_id) == set()
    assert set(offered(fleet, "libssl3").values()) == {None}


def test_a_plan_goes_as_far_as_repositories_do_and_says_what_they_lack(fleet, archive):
    archive(**CURRENT)

    plan_id = fleet.create()

    assert targets(fleet, plan_id) == {
        "libssl3": ("3.0.17-1~deb12u1", ("CVE-2026-1001",)),
        "openssl": ("3.0.17-1~deb12u1", ("CVE-2026-1001",)),
    }
    assert reasons(fleet, plan_id) == {
        "no repository offers 3.0.17-1~deb12u2",
        "no repository offers 7.88.1-10+deb12u9",
    }


def test_a_target_stays_the_fixed_version_where_more_is_on_offer(fleet, archive):
    archive(**CURRENT | {"curl": ("7.88.1-10+deb12u14", "curl")})

    assert targets(fleet, fleet.create())["curl"][0] == "7.88.1-10+deb12u9"


def test_nothing_to_install_anywhere_is_nothing_to_plan(fleet, archive):
    archive(**CURRENT)

    with pytest.raises(ConflictError, match=r"no repository offers 7\.88\.1-10\+deb12u9"):
        fleet.create(selection=Selection(packages=("curl",)))


def test_an_explanation_says_who_offers_the_fix(fleet, archive):
    archive(**CURRENT)

    assert offered(fleet, "libssl3") == {
        "CVE-2026-1001": "bookworm-security offers 3.0.17-1~deb12u1",
        "CVE-2026-1002": NOT_YET,
    }
    assert offered(fleet, "curl") == {"CVE-2026-2001": NOT_YET, "CVE-2026-2002": None}


def test_a_repository_says_nothing_of_packages_that_do_not_come_from_it(fleet, archive):
    archive(openssl=("3.0.11-1", "openssl"), bash=("5.2.15-2", "bash"))  # older than installed

    assert set(offered(fleet, "libssl3").values()) == {None}
    assert reasons(fleet, fleet.create()) == set()


def test_what_was_on_offer_then_is_said_of_an_instant_in_the_past(fleet, archive):
    before = fleet.now
    fleet.now += timedelta(hours=1)
    archive(**CURRENT)

    with fleet.db.reading() as session:
        then = explanations.explain(session, "b1", "libssl3", at=before)

    assert {each.supply for each in then.installed[0].considered} == {None}
    assert NOT_YET in offered(fleet, "libssl3").values()


# --- what hosts say of their own repositories ----------------------------------------------------


@pytest.fixture
def own(fleet):
    """Let b1 report what apt-cache policy says: name -> candidate, or the lines of its table."""

    def say(waits_for_reboot="", **candidates):
        listing = "".join(
            f"{name}\t{version}\tamd64\t{source}\t{source_version}\n"
            for name, version, source, source_version in OLD
        )
        old = {name: version for name, version, *_ in OLD}
        policy = "".join(
            f"{name}:\n  Installed: {old[name]}\n  Candidate: {said.split()[0]}\n"
            f"  Version table:\n{table(said, old[name])}"
            for name, said in candidates.items()
        )
        document = {
            "version": 1,
            "collected_at": fleet.now.isoformat(),
            "host": {"hostname": "b1"},
            "sections": {
                "dpkg": listing,
                "apt-policy": policy,
                "reboot-required": waits_for_reboot,
            },
        }
        submissions.submit_report(
            fleet.db,
            host="",
            os="",
            format="report",
            text=json.dumps(document),
            actor="test",
            now=fleet.now,
        )
        fleet.scan()

    return say


def table(said, installed):
    """Return the table of "candidate", "candidate (phased 10%)" or "installed < withheld"."""
    version, _, more = said.partition(" ")
    place = "        500 http://mirror.example/debian bookworm/main amd64 Packages\n"
    if more.startswith("<"):
        return (
            f"     {more[2:]} -1\n{place} *** {installed} 100\n        100 /var/lib/dpkg/status\n"
        )
    return f"     {version} 500{more and f' {more}'}\n{place}"


B1 = Selection(hosts=("b1",))


def test_what_no_repository_of_the_host_offers_is_left_out(fleet, own):
    own(openssl="3.0.15-1~deb12u1", libssl3="3.0.15-1~deb12u1", curl="7.88.1-10+deb12u9")

    plan_id = fleet.create(selection=B1)

    assert set(targets(fleet, plan_id)) == {"curl"}
    assert reasons(fleet, plan_id) == {
        "no repository of the host offers 3.0.17-1~deb12u1",
        "no repository of the host offers 3.0.17-1~deb12u2",
    }


def test_the_host_is_believed_more_than_the_archive(fleet, archive, own):
    archive(**CURRENT)
    own(curl="7.88.1-10+deb12u9")

    assert targets(fleet, fleet.create(selection=B1))["curl"][0] == "7.88.1-10+deb12u9"
    with fleet.db.reading() as session:
        found = explanations.explain(session, "b1", "curl", at=fleet.now)
    (first, _) = found.installed[0].considered
    assert first.installable == "yes"
    assert first.offered == "the host's repositories offer 7.88.1-10+deb12u9 from bookworm"


def test_what_a_pin_keeps_back_is_left_out_with_that_reason(fleet, own):
    own(curl="7.88.1-10+deb12u8 < 7.88.1-10+deb12u9")

    with pytest.raises(ConflictError, match="the host's pin to priority -1 keeps it back"):
        fleet.create(selection=Selection(hosts=("b1",), packages=("curl",)))


@pytest.mark.parametrize(
    ("on_offer", "targets_are", "said"),
    [
        ("7.88.1-10+deb12u9", Targets.EXACT, None),
        ("7.88.1-10+deb12u14", Targets.AT_LEAST, None),
        (
            "7.88.1-10+deb12u14",
            Targets.EXACT,
            [
                {
                    "package": "curl",
                    "target": "7.88.1-10+deb12u9",
                    "offered": "7.88.1-10+deb12u14",
                    "hosts": 1,
                }
            ],
        ),
    ],
)
def test_an_exact_target_stays_and_where_only_a_newer_one_is_on_offer_the_plan_says_so(
    fleet, own, on_offer, targets_are, said
):
    own(curl=on_offer)

    plan_id = fleet.create(
        selection=Selection(hosts=("b1",), packages=("curl",)), terms=Terms(targets=targets_are)
    )

    assert targets(fleet, plan_id)["curl"][0] == "7.88.1-10+deb12u9"
    assert fleet.get(plan_id).summary.get("superseded_targets") == said


@pytest.mark.parametrize(
    ("bad", "on_offer", "target"),
    [
        ("7.88.1-10+deb12u12", "7.88.1-10+deb12u14", "7.88.1-10+deb12u14"),
        (">=7.88.1-10+deb12u9,<7.88.1-10+deb12u14", "7.88.1-10+deb12u14", "7.88.1-10+deb12u14"),
        (">7.88.1-10+deb12u9", "7.88.1-10+deb12u14", None),
        ("7.88.1-10+deb12u12", "7.88.1-10+deb12u14 (phased 10%)", None),
        ("<7.88.1-10+deb12u9", "7.88.1-10+deb12u14", "7.88.1-10+deb12u9"),  # concerns it not
    ],
)
def test_at_least_goes_past_what_is_known_to_be_bad_where_the_host_is_offered_it(
    fleet, own, bad, on_offer, target
):
    own(curl=on_offer)
    hold, until = Hold("curl", bad, reason="leaks"), fleet.now + timedelta(days=9)
    by = {"actor": "ann", "role": Role.OPERATOR, "now": fleet.now}
    holds.add(fleet.db, hold, expires_at=until, **by)
    asked = {
        "selection": Selection(hosts=("b1",), packages=("curl",)),
        "terms": Terms(targets=Targets.AT_LEAST),
    }

    if target is None:
        with pytest.raises(ConflictError, match="at least, which may bring curl"):
            fleet.create(**asked)
        return
    plan_id = fleet.create(**asked)
    assert targets(fleet, plan_id)["curl"][0] == target
    raised = fleet.get(plan_id).summary.get("raised_targets", [])
    assert [one["target"] for one in raised] == ([target] if target.endswith("u14") else [])
    fleet.do("propose", plan_id)
    fleet.do("approve", plan_id, actor="bob")
    fleet.do("start", plan_id)


def test_what_is_phased_is_planned_and_said(fleet, own):
    own(curl="7.88.1-10+deb12u9 (phased 10%)")

    plan_id = fleet.create(selection=Selection(hosts=("b1",), packages=("curl",)))

    assert phased(fleet, plan_id) == ["curl 7.88.1-10+deb12u9 (10 % of hosts)"]


CURL = Selection(hosts=("b1",), packages=("curl",))


@pytest.mark.parametrize(
    ("version", "percentages", "said"),
    [
        ("7.88.1-10+deb12u9", [20], ["curl 7.88.1-10+deb12u9 (20 % of hosts)"]),
        ("7.88.1-10+deb12u14", [0], ["curl 7.88.1-10+deb12u14 (0 % of hosts)"]),
        ("7.88.1-10+deb12u9", [100], []),
        ("7.88.1-10+deb12u9", [], []),
    ],
)
def test_what_the_archive_phases_is_planned_and_said(fleet, archive, version, percentages, said):
    archive(**CURRENT | {"curl": (version, "curl", *percentages)})

    assert phased(fleet, fleet.create(selection=CURL)) == said


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ("7.88.1-10+deb12u9", []),
        ("7.88.1-10+deb12u9 (phased 60%)", ["curl 7.88.1-10+deb12u9 (60 % of hosts)"]),
    ],
)
def test_a_host_that_said_what_it_is_offered_is_believed_more(fleet, archive, own, candidate, said):
    archive(**CURRENT | {"curl": ("7.88.1-10+deb12u9", "curl", 20)})
    own(curl=candidate)

    assert phased(fleet, fleet.create(selection=CURL)) == said


def test_a_host_that_says_it_waits_for_a_reboot_is_seen_so(fleet, own):
    own(waits_for_reboot="*** System restart required ***\nlibc6\n")

    with fleet.db.reading() as session:
        line = hosts.get(session, "b1").line
    assert (line.reboot_pending, line.reboot_reported) == (True, True)
