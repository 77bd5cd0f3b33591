"""Alpine's secdb: which ids it means, JSON and YAML alike, and the recorded cases."""

import json
from pathlib import Path

import pytest

from patchmgr.domain.advisories import Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

CASES = Path(__file__).parents[1] / "data" / "cases"
ALPINE = FEEDS["alpine"]
URL = "https://secdb.example/main.json"


def document(secfixes=None, packages=None, **more):
    entries = packages or [{"pkg": {"name": "x", "secfixes": secfixes}}]
    return json.dumps({"distroversion": "v3.18", "packages": entries, **more}).encode()


def read(body, platform=""):
    return ALPINE.read(URL, body, platform)


def refs(*ids):
    return {
        each.ref: (" ".join(each.cves), " ".join(each.aliases))
        for each in read(document({"1.0-r0": list(ids)})).advisories
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CVE-2019-1549", {"CVE-2019-1549": ("CVE-2019-1549", "")}),
        (
            "CVE-2020-11501 GNUTLS-SA-2020-03-31",
            {"CVE-2020-11501": ("CVE-2020-11501", "GNUTLS-SA-2020-03-31")},
        ),
        ("CVE-2018-3639   XSA-263", {"CVE-2018-3639": ("CVE-2018-3639", "XSA-263")}),
        (
            "CVE-2016-9377 CVE-2016-9378 XSA-196",
            {
                "CVE-2016-9377": ("CVE-2016-9377", "XSA-196"),
                "CVE-2016-9378": ("CVE-2016-9378", "XSA-196"),
            },
        ),
        ("CVE-????-?????  XSA-295", {"XSA-295": ("", "")}),
        ("ALPINE-13661", {"ALPINE-13661": ("", "")}),
        ("XSA-1 TALOS-2019-0844", {"XSA-1": ("", "TALOS-2019-0844")}),
        ("CVE_2019-2426", {"CVE-2019-2426": ("CVE-2019-2426", "")}),
        ("cve-2016-10010", {"CVE-2016-10010": ("CVE-2016-10010", "")}),
        (" CVE-2018-1000517 ", {"CVE-2018-1000517": ("CVE-2018-1000517", "")}),
        ("CVE N/A ZBX-11023", {"ZBX-11023": ("", "")}),
        ("CVE-2017-17434-1", {"CVE-2017-17434": ("CVE-2017-17434", "")}),
        ("CVE-2019-19451.patch", {"CVE-2019-19451": ("CVE-2019-19451", "")}),
        ("CVE-2018-14466 (AFS/RX)", {"CVE-2018-14466": ("CVE-2018-14466", "")}),
        ("CVE-2018-10105 (SMB - see XSA-1)", {"CVE-2018-10105": ("CVE-2018-10105", "")}),
    ],
)
def test_an_id_may_have_another_id_or_a_remark_behind_it(text, expected):
    assert refs(text) == expected


def test_an_advisory_has_the_statements_of_all_packages():
    (advisory,) = read(
        document(
            packages=[
                {"pkg": {"name": "b", "secfixes": {"1.0-r0": ["CVE-2026-1000"]}}},
                {"pkg": {"name": "a", "secfixes": {"0": ["CVE-2026-1000"]}}},
                {"pkg": {"name": "c", "secfixes": {}}},
                {"pkg": {"name": "d", "secfixes": None}},
            ]
        )
    ).advisories

    assert [(fix.package, fix.status, fix.fixed, fix.platform) for fix in advisory.fixes] == [
        ("b", Status.AFFECTED, "1.0-r0", "alpine:3.18"),
        ("a", Status.NOT_AFFECTED, "", "alpine:3.18"),
    ]


YAML = """\
distroversion: v3.10
packages:
  - pkg:
      name: x
      secfixes:
        1.10:
          - CVE-2026-1000
        0:
          - CVE-2026-1001
        1.10:
          - CVE-2026-1002
"""


def test_versions_in_yaml_stay_as_they_stand_and_repeated_ones_are_one():
    advisories = read(YAML.encode()).advisories

    assert [(each.ref, each.fixes[0].status, each.fixes[0].fixed) for each in advisories] == [
        ("CVE-2026-1000", Status.AFFECTED, "1.10"),
        ("CVE-2026-1001", Status.NOT_AFFECTED, ""),
        ("CVE-2026-1002", Status.AFFECTED, "1.10"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "has an anchor or alias, which is refused"),
        ("b: *x\n", "has an anchor or alias, which is refused"),
        ("a: !!python/name:os.system x\n", "has a tag, which is refused"),
        ("---\na: b\n---\na: b\n", "has a second document, which is refused"),
        ("[" * 40, "has more than 30 levels, which is refused"),
        ("a: b\na: c\n", "has the key 'a' twice, which is refused"),
        ("? [a]\n: b\n", "has a key that is no text, which is refused"),
        ("a: [\n", "not whole YAML: "),
        ("just text", "not a secdb document: it has no list of packages"),
        ('{"packages": [{}]}', "does not say which platform it speaks of"),
        ('{"packages": [], "distroversion": "3"}', "the distroversion '3' is no Alpine branch"),
        ('{"packages": [], "distroversion": 3}', "the distroversion '3' is no Alpine branch"),
    ],
)  # fmt: skip
def test_what_is_no_secdb_document_is_refused(text, said):
    with pytest.raises(FeedMalformedError) as error:
        read(text.encode())

    assert said in str(error.value)


def test_an_odd_package_is_set_aside_and_a_document_of_them_is_refused():
    good = [{"pkg": {"name": f"x{n}", "secfixes": {"1-r0": ["CVE-2026-1000"]}}} for n in range(7)]
    odd = [{"pkg": {"secfixes": {}}}, {"pkg": {"name": "y", "secfixes": {"1-r0": ["soon"]}}}]

    page = read(document(packages=good + odd))

    assert [each.where for each in page.set_aside] == ["package 8", "y, '1-r0'"]
    with pytest.raises(FeedMalformedError, match=r"2 of 7 packages are not secdb's"):
        read(document(packages=good[:5] + odd))


def test_the_platform_is_the_branch():
    def platform_of(version, given=""):
        body = document({"1-r0": ["CVE-2026-1000"]}, distroversion=version)
        return read(body, given).advisories[0].fixes[0].platform

    assert platform_of("v3.20") == "alpine:3.20"
    assert platform_of("edge") == "alpine:rolling"
    assert platform_of("v3.20", "alpine:3.1") == "alpine:3.20"
    assert platform_of(None, "wolfi:rolling") == "wolfi:rolling"


def test_only_the_branches_of_the_fleet_are_fetched():
    fleet = frozenset({"alpine:3.19.1", "alpine:3.19", "alpine:3.2", "alpine:rolling", "debian:12"})

    assert ALPINE.addresses(fleet) == tuple(
        f"https://secdb.alpinelinux.org/{path}.json"
        for path in ("edge/main", "edge/community", "v3.19/main", "v3.19/community", "v3.2/main")
    )
    assert ALPINE.addresses(frozenset()) == ()


@pytest.mark.parametrize(("release", "beside"), [("3.18", {"ALPINE-13661"}), ("3.20", set())])
def test_all_that_osv_found_and_nothing_that_only_one_of_the_two_knows(
    release, beside, found, rows
):
    """osv.dev does not know Alpine's own ids; where it and secdb disagree, secdb stands."""
    case = CASES / f"osv-alpine-{release}"
    advisories = read((case / "secdb.json").read_bytes()).advisories
    inventory = [{**row, "name": row["source_name"]} for row in rows(case / "inventory.csv")]

    findings = set(found(f"alpine:{release}", inventory, advisories))

    must = {(row["source_name"], row["cve"]) for row in rows(case / "expected.csv")}
    disagreements = rows(case / "disagreements.csv")
    ours = {(r["source_name"], r["cve"]) for r in disagreements if r["which"] == "secdb_only"}
    theirs = {(r["source_name"], r["cve"]) for r in disagreements if r["which"] == "osv_only"}
    assert findings >= must
    assert {ref for _name, ref in findings - must - ours} == beside
    assert not findings & theirs
