"""What a vendor's statement means for a version. Never a guess."""

import pytest

from patchmgr.domain.advisories import Fix, Match, Status
from patchmgr.domain.matching import Subject, decisive, is_about, judge, platforms_of


def fix(status=Status.AFFECTED, fixed="", **more):
    return Fix("debian:12", "x", Match.SOURCE, status, fixed, scheme="dpkg", **more)


@pytest.mark.parametrize(
    ("version", "statement", "status", "reason"),
    [
        ("1.0-1", fix(fixed="1.0-2"), "affected", "1.0-1 is older than 1.0-2"),
        ("1.0-2", fix(fixed="1.0-2"), "not_affected", "1.0-2 is 1.0-2"),
        ("1.0-10", fix(fixed="1.0-2"), "not_affected", "1.0-10 is newer than 1.0-2"),
        ("1.0~rc1", fix(fixed="1.0"), "affected", "1.0~rc1 is older than 1.0"),
        ("1:1.0", fix(fixed="9.9"), "not_affected", "1:1.0 is newer than 9.9"),
        ("1.0", fix(fixed="2", introduced="1.5"), "not_affected", "1.0 is older than 1.5"),
        ("1.5", fix(fixed="2", introduced="1.5"), "affected", "1.5 is older than 2"),
        ("1.0", fix(Status.NO_FIX, reason="no-dsa: minor"), "no_fix", "no-dsa: minor"),
        ("1.0", fix(Status.NO_FIX, introduced="2"), "not_affected", "1.0 is older than 2"),
        ("1.0", fix(Status.UNDETERMINED), "undetermined", ""),
        ("1.0", fix(Status.NOT_AFFECTED, reason="not built"), "not_affected", "not built"),
        ("odd", fix(Status.NOT_AFFECTED), "not_affected", "the vendor says it is not affected"),
        ("odd", fix(fixed="1.0"), "undetermined", "'odd' is not a dpkg version"),
        ("1.0", fix(fixed="odd"), "undetermined", "'odd' is not a dpkg version"),
        ("1.0", fix(fixed="2", introduced="odd"), "undetermined", "'odd' is not a dpkg version"),
    ],
)
def test_a_statement_means_for_a_version(version, statement, status, reason):
    verdict = judge(version, statement)

    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_scheme_that_nobody_can_read_is_undetermined():
    statement = Fix("x:1", "x", Match.SOURCE, Status.AFFECTED, "2", scheme="runes")

    assert judge("1", statement).status is Status.UNDETERMINED


@pytest.mark.parametrize(
    ("platform", "all_of_them"),
    [
        ("debian:12", ("debian:12",)),
        ("rhel:9.4", ("rhel:9.4", "rhel:9")),
        ("alpine:3.19.1", ("alpine:3.19.1", "alpine:3.19", "alpine:3")),
        ("arch:rolling", ("arch:rolling",)),
        ("", ("",)),
    ],
)
def test_what_is_written_for_a_release_holds_for_its_parts(platform, all_of_them):
    assert platforms_of(platform) == all_of_them


def test_a_statement_is_about_packages_whose_versions_it_can_compare():
    assert is_about("dpkg", "dpkg")
    assert not is_about("dpkg", "pypi")
    assert is_about("pep440", "pypi")
    assert is_about("", "pypi")


def test_a_package_is_known_by_its_own_name_and_by_its_source():
    subject = Subject("debian:12", "libssl3", "3.0-1+b1", "openssl", "3.0-1")

    assert subject.named(Match.SOURCE) == ("openssl", "3.0-1")
    assert subject.named(Match.BINARY) == ("libssl3", "3.0-1+b1")


def deciding(version, *statements):
    chosen = decisive((each, judge(version, each)) for each in statements)
    return None if chosen is None else (chosen[1].status, chosen[0].fixed)


def test_of_several_statements_the_one_that_calls_it_affected_decides():
    assert deciding("1", fix(Status.NOT_AFFECTED), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.NO_FIX), fix(fixed="2")) == ("affected", "2")
    assert deciding("1", fix(Status.UNDETERMINED), fix(Status.NO_FIX)) == ("no_fix", "")
    assert deciding("1", fix(Status.UNDETERMINED), fix(fixed="1")) == ("undetermined", "")
    assert deciding("1") is None


def test_of_two_fixes_the_one_that_must_be_reached_last_decides():
    assert deciding("1", fix(fixed="1.10"), fix(fixed="1.9")) == ("affected", "1.10")
    assert deciding("1", fix(fixed="1.9"), fix(fixed="odd")) == ("affected", "1.9")
