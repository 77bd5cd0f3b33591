"""When support ends, and who still gets fixes."""

from datetime import date

import pytest

from patchmgr.domain.lifecycle import Support, ending_of, endings, without_support

NOON = date(2026, 3, 2)


def release(level, until, platform="ubuntu:20.04"):
    return Support(platform, "", level, until)


UBUNTU = (
    release("standard", date(2025, 5, 29)),
    release("esm", date(2030, 4, 1)),
    release("legacy", date(2032, 4, 1)),
)
DEBIAN = (
    release("standard", date(2024, 8, 15), "debian:11"),
    release("lts", date(2026, 9, 1), "debian:11"),
    release("elts", date(2031, 7, 1), "debian:11"),
)


ESM = "ESM until 2030-04-01 with Ubuntu Pro (esm-infra)"
LEGACY = "Legacy support until 2032-04-01 with Ubuntu Pro with Legacy support (esm-infra-legacy)"
LTS = "LTS until 2026-09-01"
ELTS = "ELTS until 2031-07-01 with Freexian's Extended LTS (elts)"


@pytest.mark.parametrize(
    ("said", "on", "carried_on"),
    [
        (UBUNTU, date(2025, 5, 28), None),
        (UBUNTU, date(2025, 5, 29), [ESM, LEGACY]),
        (UBUNTU, date(2030, 3, 31), [ESM, LEGACY]),
        (UBUNTU, date(2030, 4, 1), [LEGACY]),
        (UBUNTU, date(2032, 4, 1), []),
        (DEBIAN, NOON, [LTS, ELTS]),
        ((release("standard", None),), NOON, None),
        ((release("esm", date(2020, 1, 1)),), NOON, None),
    ],
)
def test_a_release_is_past_its_support_from_the_first_day_without(said, on, carried_on):
    found = list(endings(said, on).values())

    words = "; ".join([f"standard support ended on {said[0].until}", *(carried_on or ())])
    assert [each.words for each in found] == ([] if carried_on is None else [words])


@pytest.mark.parametrize(
    ("said", "on", "entitlements", "level"),
    [
        (UBUNTU, NOON, (), None),
        (UBUNTU, NOON, ("esm-infra",), "esm"),
        (UBUNTU, NOON, ("esm-apps",), None),
        (UBUNTU, NOON, ("esm-infra", "esm-infra-legacy"), "legacy"),
        (UBUNTU, date(2030, 4, 1), ("esm-infra",), None),
        (DEBIAN, NOON, (), "lts"),
        (DEBIAN, NOON, ("elts",), "elts"),
        (DEBIAN, date(2026, 9, 1), (), None),
    ],
)
def test_who_is_entitled_still_gets_fixes(said, on, entitlements, level):
    (ending,) = endings(said, on).values()

    cover = ending.cover(entitlements)

    assert (cover and cover.level) == level
    assert ending.is_over is (ending.cover(()) is None)


def test_a_state_of_a_release_ends_with_the_release():
    ended = endings([release("standard", date(2024, 11, 1), "alpine:3.17")], NOON)

    assert ending_of("alpine:3.17.3", ended) is ended["alpine:3.17"]
    assert ending_of("alpine:3.18", ended) is None


def ended(until, note=""):
    return Support("debian:12", "suricata", "ended", until, note)


def limited(package, platform="debian:12"):
    return Support(platform, package, "limited", None)


SUPPORT = "security support"


@pytest.mark.parametrize(
    ("support", "source", "words"),
    [
        (ended(NOON, "bug 1"), "suricata", f"{SUPPORT} ended on 2026-03-02 (bug 1)"),
        (ended(date(2026, 3, 3)), "suricata", None),
        (ended(None), "suricata", f"{SUPPORT} ended"),
        (limited("binutils"), "binutils", f"{SUPPORT} is limited"),
        (limited("binutils"), "binutils-avr", None),
        (limited("golang.*"), "golang-1.19", f"{SUPPORT} is limited"),
        (limited("golang.*"), "go", None),
        (limited("binutils", "debian:11"), "binutils", None),
        (release("standard", date(2020, 1, 1), "debian:12"), "", None),
    ],
)
def test_a_package_is_without_support_where_and_when_its_vendor_says_so(support, source, words):
    found = without_support(source, "debian:12", [support], NOON)

    assert [each.words for each in found] == ([words] if words else [])
