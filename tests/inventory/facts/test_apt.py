"""What apt says, as apt 2.6 (Debian 12) and 2.4 (Ubuntu 22.04) print it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.facts import UnreadableError, apt
from inventory.facts.apt import Choice

POLICY = """\
openssl:
  Installed: 3.0.19-1~deb12u2
  Candidate: 3.0.22-1~deb12u2
  Version table:
     3.0.22-1~deb12u2 500
        500 http://mirror.example/debian-security bookworm-security/main amd64 Packages
     3.0.20-1~deb12u2 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
 *** 3.0.19-1~deb12u2 100
        100 /var/lib/dpkg/status
"""
CURRENT = """\
libc6:
  Installed: 2.36-9+deb12u14
  Candidate: 2.36-9+deb12u14
  Version table:
 *** 2.36-9+deb12u14 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
"""
GERMAN = """\
libssl3:i386:
  Installiert:           3.0.2-0ubuntu1.10
  Installationskandidat: 3.0.2-0ubuntu1.16
  Versionstabelle:
     3.0.2-0ubuntu1.16 500 (schrittweise 10%)
        500 http://mirror.example/ubuntu jammy-updates/main i386 Packages
        500 http://mirror.example/ubuntu jammy-security/main i386 Packages
 *** 3.0.2-0ubuntu1.10 100
        100 /var/lib/dpkg/status
"""
PINNED = """\
nginx:
  Installed: 1.22.1-9
  Candidate: 1.22.1-9
  Package pin: 1.22.1-9
  Version table:
     1.22.1-9+deb12u1 -1
        500 http://mirror.example/debian-security bookworm-security/main amd64 Packages
 *** 1.22.1-9 1001
        500 http://mirror.example/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
"""
UNKNOWN = """\
local-tool:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
     2.0 -1
        100 /var/lib/dpkg/status
"""


def test_a_newer_candidate_and_where_it_comes_from():
    assert apt.policy(POLICY) == (
        Choice("openssl", "", "3.0.19-1~deb12u2", "3.0.22-1~deb12u2", ("bookworm-security",)),
    )


def test_what_is_installed_may_be_the_candidate():
    (found,) = apt.policy(CURRENT)

    assert (found.installed, found.version, found.suites) == (
        "2.36-9+deb12u14", "2.36-9+deb12u14", ("bookworm",),
    )  # fmt: skip


def test_words_are_translated_and_columns_are_not():
    (found,) = apt.policy(GERMAN)

    assert found == Choice(
        "libssl3", "i386", "3.0.2-0ubuntu1.10", "3.0.2-0ubuntu1.16",
        ("jammy-updates", "jammy-security"), phased=10,
    )  # fmt: skip


def test_a_pin_keeps_a_newer_version_back():
    (found,) = apt.policy(PINNED)

    assert (found.version, found.withheld, found.pin) == (
        "1.22.1-9", "1.22.1-9+deb12u1", "pin to priority -1",
    )  # fmt: skip


def test_a_package_of_no_repository_has_no_suite():
    local, gone = apt.policy(UNKNOWN)

    assert (local.version, local.suites, local.withheld) == ("1.0", (), "")
    assert (gone.installed, gone.version) == ("", "")


def test_notes_and_warnings_around_are_left_out():
    noisy = f"N: Unable to locate package oops\n{POLICY}W: Some index is old\n{CURRENT}"

    assert [each.name for each in apt.policy(noisy)] == ["openssl", "libc6"]


NOT_POLICY = {
    "prose": ("bash: apt-cache: command not found\n", "line 1: 'bash: apt-cache"),
    "an error": ("E: The package lists could not be opened\n", "is an error of apt"),
    "cut off": (POLICY[:60], "is not followed by what apt knows of it"),
    "no header": ("  Installed: 1\n", "belongs to no package"),
    "table without its candidate": (
        POLICY.replace("3.0.22-1~deb12u2 500", "3.0.21-1 500"), "its table does not list",
    ),
    "a place before any version": (
        ("x:\n  Installed: 1\n  Candidate: 1\n  Version table:\n"
        "        500 http://mirror.example/debian bookworm/main amd64 Packages\n"),
        "line 5: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), NOT_POLICY.values(), ids=NOT_POLICY)
def test_what_is_not_apt_cache_policy(text, why):
    with pytest.raises(UnreadableError, match=why):
        apt.policy(text)


UPGRADABLE = """\
WARNING: apt does not have a stable CLI interface. Use with caution in scripts.

Listing...
appstream/oldstable 0.16.1-2+b1 amd64 [upgradable from: 0.16.1-2]
apt/oldstable-security,oldstable 2.6.2 all [upgradable from: 2.6.1]
N: There is 1 additional version. Please use the '-a' switch to see it
"""


@pytest.mark.parametrize(
    "text",
    [UPGRADABLE, UPGRADABLE.replace("Listing...", "Auflistung…").replace("upgradable from", "von")],
    ids=["English", "German"],
)
def test_what_can_be_upgraded(text):
    assert apt.upgradable(text) == (
        Choice("appstream", "amd64", "", "0.16.1-2+b1", ("oldstable",)),
        Choice("apt", "all", "", "2.6.2", ("oldstable-security", "oldstable")),
    )


def test_nothing_can_be_upgraded():
    assert apt.upgradable("Listing...\n") == apt.upgradable("") == ()


def test_a_heading_says_done_on_a_terminal_and_installed_versions_are_no_candidates():
    text = (
        "Listing... Done\n"
        "openssl/stable-security 3.0.13-1 amd64 [upgradable from: 3.0.11-1]\n"
        "openssl/now 3.0.11-1 amd64 [installed,upgradable to: 3.0.13-1]\n"
    )

    assert [(each.name, each.version) for each in apt.upgradable(text)] == [("openssl", "3.0.13-1")]
    assert apt.upgradable(text.replace("Listing... Done", "En train de lister… Fait"))


@pytest.mark.parametrize("text", ["E: Unable to lock\n", "Listing...\nopenssl 3.0 amd64\n"])
def test_what_is_not_apt_list(text):
    with pytest.raises(UnreadableError, match=r"line [12]: "):
        apt.upgradable(text)


def test_holds():
    assert apt.holds("nginx\nlibssl3:amd64\n\n") == ("libssl3", "nginx")
    assert apt.holds("") == ()
    with pytest.raises(UnreadableError, match="is not the name of a package"):
        apt.holds("apt-mark: not found here\n")


@given(st.data())
def test_a_damaged_answer_is_refused_or_read_and_never_more(data):
    whole = data.draw(st.sampled_from([POLICY, GERMAN, PINNED, UPGRADABLE]))
    start = data.draw(st.integers(0, len(whole)))
    text = whole[:start] + data.draw(st.text(max_size=20)) + whole[data.draw(st.integers(start)) :]
    for reader in (apt.policy, apt.upgradable, apt.holds):
        with suppress(UnreadableError):
            assert len(reader(text)) <= text.count("\n") + 20
