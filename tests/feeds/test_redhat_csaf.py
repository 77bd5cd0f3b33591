"""Red Hat's CSAF: product trees, statuses, and how advisories and VEX tell of the same fixes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.crawl import Document, crawl
from patchmgr.feeds.formats import redhat

URL = "https://feed.example/2024/doc.json"
HERE = Path(__file__).parents[1] / "data" / "feeds" / "redhat-csaf"
CSAF = FEEDS["redhat-csaf"]
RHSA = "https://access.redhat.com/errata/RHSA-2024:0001"
STREAMS = {
    "rhel8": "cpe:/o:redhat:enterprise_linux:8::baseos",
    "rhel8-apps": "cpe:/a:redhat:enterprise_linux:8::appstream",
    "rhel86-eus": "cpe:/o:redhat:rhel_eus:8.6::baseos",
    "rhel7-els": "cpe:/o:redhat:rhel_els:7",
    "satellite": "cpe:/a:redhat:satellite:6.14::el8",
}


def document(statuses, *, ref="CVE-2024-1000", packages=None, **words):
    """A document in which ``statuses`` are of products ``stream:package``, named by their purl."""
    products = dict.fromkeys(product for named in statuses.values() for product in named)
    pairs = [product.split(":", 1) for product in products]
    return {
        "document": {
            "title": "a: flaw",
            "aggregate_severity": {"text": words.pop("severity", "Moderate")},
            "tracking": {"id": ref, "initial_release_date": "2024-01-02T03:04:05+00:00"},
        },
        "product_tree": {
            "branches": [
                *(product(key, cpe=cpe) for key, cpe in STREAMS.items()),
                *(
                    product(key, **({"purl": f"pkg:{key}"} if packages is None else packages[key]))
                    for key in dict.fromkeys(key for _stream, key in pairs)
                ),
            ],
            "relationships": [related(f"{stream}:{key}", key, stream) for stream, key in pairs],
        },
        "vulnerabilities": [{"cve": "CVE-2024-1000", "product_status": statuses, **words}],
    }


def product(key, **helper):
    described = {"product_identification_helper": helper} if helper else {}
    return {"category": "x", "name": key, "product": {"product_id": key, **described}}


def related(key, reference, relates):
    return {
        "full_product_name": {"product_id": key},
        "product_reference": reference,
        "relates_to_product_reference": relates,
    }


def read(described):
    return CSAF.read(URL, json.dumps(described).encode())


def words(fix):
    yield from (fix.platform, fix.match, fix.package, fix.status, fix.fixed)
    yield from (fix.arch, fix.module, fix.channel, fix.reason)


def lines(advisories):
    return {
        each.ref: sorted(" ".join(filter(None, words(fix))) for fix in each.fixes)
        for each in advisories
    }


def says(statuses, **of):
    page = read(document(statuses, **of))
    assert page.set_aside == ()
    return lines(page.advisories)


def test_what_a_vex_says_is_fixed_is_a_statement_of_the_advisory_that_fixes_it():
    fixed = "rhel8:rpm/redhat/a@1-2?arch=x86_64"

    assert says(
        {"fixed": [fixed], "known_affected": ["rhel7-els:rpm/redhat/a?arch=src"]},
        remediations=[{"category": "vendor_fix", "url": RHSA, "product_ids": [fixed]}],
    ) == {
        "RHSA-2024:0001": ["rhel:8 binary a affected 1-2"],
        "CVE-2024-1000": ["rhel:7 source a no_fix els no fixed version yet"],
    }
    assert says({"fixed": [fixed]}) == {"CVE-2024-1000": ["rhel:8 binary a affected 1-2"]}


def test_an_advisory_keeps_what_it_fixes():
    fixed = "rhel8:rpm/redhat/a@1-2?arch=x86_64"
    other = [{"category": "vendor_fix", "url": RHSA, "product_ids": [fixed]}]

    assert says({"fixed": [fixed]}, ref="RHSA-2024:0002", remediations=other) == {
        "RHSA-2024:0002": ["rhel:8 binary a affected 1-2"]
    }


@pytest.mark.parametrize(
    ("status", "remediations", "expected"),
    [
        ("known_affected", [], "no_fix no fixed version yet"),
        ("known_affected", [("none_available", "Affected")], "no_fix no fixed version yet"),
        ("known_affected", [("none_available", "Fix deferred")], "no_fix fix deferred"),
        ("known_affected", [("no_fix_planned", "Will not fix")], "no_fix will not fix"),
        (
            "known_affected",
            [("workaround", "Pull the plug"), ("no_fix_planned", "Out of support scope")],
            "no_fix out of support scope",
        ),
        ("under_investigation", [], "undetermined under investigation"),
    ],
)  # fmt: skip
def test_what_is_not_fixed_has_red_hats_word_for_it(status, remediations, expected):
    affected = "rhel8:rpm/redhat/a?arch=src"
    given_words = [
        {"category": category, "details": details, "product_ids": [affected]}
        for category, details in remediations
    ]

    assert says({status: [affected]}, remediations=given_words) == {
        "CVE-2024-1000": [f"rhel:8 source a {expected}"]
    }


def test_what_is_not_affected_is_left_out():
    assert says({"known_not_affected": ["rhel8:rpm/redhat/a?arch=src"]}) == {}
    assert says({"recommended": ["rhel8:rpm/redhat/a@1-2?arch=src"]}) == {}


def test_a_binary_that_is_not_affected_is_excepted_from_its_source():
    assert says(
        {
            "known_affected": ["rhel8:rpm/redhat/a?arch=src"],
            "known_not_affected": ["rhel8:rpm/redhat/a-doc", "rhel86-eus:rpm/redhat/a-doc"],
        }
    ) == {
        "CVE-2024-1000": [
            "rhel:8 binary a-doc not_affected not affected",
            "rhel:8 source a no_fix no fixed version yet",
        ]
    }


def test_binaries_say_it_better_than_their_source():
    assert says(
        {"known_affected": [f"rhel8:rpm/redhat/{n}" for n in ("a?arch=src", "a", "a-libs")]}
    ) == {
        "CVE-2024-1000": [
            "rhel:8 binary a no_fix no fixed version yet",
            "rhel:8 binary a-libs no_fix no fixed version yet",
        ]
    }


@pytest.mark.parametrize(
    ("purls", "expected"),
    [
        (["a@1-2?arch=x86_64", "a@1-2?arch=s390x"], ["binary a affected 1-2"]),
        (["a@1-2?arch=x86_64&epoch=3"], ["binary a affected 3:1-2"]),
        (
            ["a@1-2?arch=x86_64", "a@1-3?arch=s390x"],
            ["binary a affected 1-2 x86_64", "binary a affected 1-3 s390x"],
        ),
        (["a@1-2?arch=src"], ["source a affected 1-2"]),
        (["a@1-2?arch=src", "a-libs@1-2?arch=i686"], ["binary a-libs affected 1-2"]),
        (["a@1-2?arch=i686", "a-debuginfo@1-2?arch=i686"], ["binary a affected 1-2"]),
        (
            ["a@1-2.module%2Bel8?arch=i686&rpmmod=a:1.4:8080:63b"],
            ["binary a affected 1-2.module+el8 a:1.4"],
        ),
    ],
)
def test_a_build_is_read_from_its_package_url(purls, expected):
    found = says({"fixed": [f"rhel8:rpm/redhat/{purl}" for purl in purls]})

    assert found == {"CVE-2024-1000": [f"rhel:8 {line}" for line in expected]}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a-0:1-2.el8.x86_64", "binary a affected 1-2.el8"),
        ("a-b-3:1-2.el8.noarch", "binary a-b affected 3:1-2.el8"),
        ("a-1-2.module+el8.i686.rpm-a:1.4", "binary a affected 1-2.module+el8 a:1.4"),
        ("a-1:1-2.module+el8.i686::a:1.4", "binary a affected 1:1-2.module+el8 a:1.4"),
    ],
)
def test_without_a_package_url_the_id_is_read(key, expected):
    assert says({"fixed": [f"rhel8:{key}"]}, packages={key: {}}) == {
        "CVE-2024-1000": [f"rhel:8 {expected}"]
    }


@pytest.mark.parametrize("helper", [{}, {"purl": "pkg:rpmmod/redhat/cups:2.1/foo"}])
def test_an_unfixed_source_may_be_one_of_a_module(helper):
    assert says({"known_affected": ["rhel8:cups:2.1/foo"]}, packages={"cups:2.1/foo": helper}) == {
        "CVE-2024-1000": ["rhel:8 source foo no_fix cups:2.1 no fixed version yet"]
    }


def test_a_module_may_stand_between_package_and_stream():
    described = document({"fixed": ["rhel8:rpmmod/redhat/pg@15:8100:ab"]})
    tree = described["product_tree"]
    tree["branches"].append(product("pg-libs", purl="pkg:rpm/redhat/pg-libs@15-1?arch=x86_64"))
    inside = related("in the module", "pg-libs", "rhel8:rpmmod/redhat/pg@15:8100:ab")
    tree["relationships"].append(inside)
    described["vulnerabilities"][0]["product_status"]["fixed"].append("in the module")

    assert lines(read(described).advisories) == {
        "CVE-2024-1000": ["rhel:8 binary pg-libs affected 15-1 pg:15"]
    }


def test_a_module_itself_is_no_package():
    key = "pg:15:8100020240814101911:489197e6"

    assert says({"fixed": [f"rhel8:{key}"]}, packages={key: {}}) == {}
    assert says({"fixed": ["rhel8:rpmmod/redhat/pg@15:8100:ab"]}) == {}


@pytest.mark.parametrize("helper", [{}, {"purl": "golang"}, {"purl": "pkg:rpm"}])
def test_what_names_no_package_matters_in_rhel_only(helper):
    packages = {"a:b:c": helper}

    assert says({"fixed": ["satellite:a:b:c"]}, packages=packages) == {}
    with pytest.raises(FeedMalformedError, match="names no package"):
        says({"fixed": ["rhel8:a:b:c"]}, packages=packages)


def test_what_is_no_package_of_rhel_is_counted():
    page = read(
        document(
            {
                "fixed": [
                    "satellite:rpm/redhat/a@1-2?arch=x86_64",
                    "satellite:rpm/redhat/b@1-2?arch=x86_64",
                    "rhel8-apps:oci/ubi8@sha256:ab?tag=1",
                ],
                "known_affected": ["rhel8-apps:rpm/redhat/firefox?arch=src&rpmmod=rhel10"],
            }
        )
    )

    assert page.advisories == ()
    assert page.skipped == {"satellite:6.14": 2, "oci packages": 1, "flatpak packages": 1}


def test_the_streams_of_a_minor_release_are_kept_apart():
    build = "rpm/redhat/a@1-2?arch=x86_64"

    assert says({"fixed": [f"{stream}:{build}" for stream in STREAMS if stream[0] == "r"]}) == {
        "CVE-2024-1000": [
            "rhel:7 binary a affected 1-2 els",
            "rhel:8 binary a affected 1-2",
            "rhel:8.6 binary a affected 1-2 eus",
        ]
    }


def test_severity_is_the_impact_on_the_product_else_that_of_the_document():
    keys = [f"rhel8:rpm/redhat/{name}@1-2?arch=x86_64" for name in "ab"]
    impact = {"category": "impact", "details": "Critical", "product_ids": keys[:1]}

    (advisory,) = read(document({"fixed": keys}, threats=[impact], severity="low")).advisories

    assert {fix.package: fix.severity for fix in advisory.fixes} == {
        "a": Severity.CRITICAL,
        "b": Severity.LOW,
    }
    assert advisory.severity is Severity.CRITICAL


def test_products_that_are_not_in_the_tree_are_set_aside():
    keys = [f"rhel8:rpm/redhat/{name}@1-2?arch=x86_64" for name in "abcd"]
    described = document({"fixed": keys})
    described["vulnerabilities"][0]["product_status"]["fixed"].append("rhel8:gone")

    page = read(described)

    assert len(page.advisories[0].fixes) == 4
    assert [(each.ref, each.where, each.reason) for each in page.set_aside] == [
        ("CVE-2024-1000", "rhel8:gone", "'rhel8:gone' is not in the product tree")
    ]
    described["vulnerabilities"][0]["product_status"]["fixed"] = [keys[0], "rhel8:gone"]
    with pytest.raises(FeedMalformedError, match="1 of 2 products cannot be told, such as rhel8"):
        read(described)


def test_an_odd_vulnerability_is_set_aside():
    described = document({"fixed": ["rhel8:rpm/redhat/a@1-2?arch=x86_64"]})
    described["vulnerabilities"] *= 3
    described["vulnerabilities"].append({"cve": 7})

    page = read(described)

    assert lines(page.advisories) == {"CVE-2024-1000": ["rhel:8 binary a affected 1-2"]}
    assert [each.where for each in page.set_aside] == ["vulnerability 4"]
    described["vulnerabilities"][:2] = []
    with pytest.raises(FeedMalformedError, match="1 of 2 vulnerabilities cannot be told"):
        read(described)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("publisher", {"name": "SUSE Product Security Team"}),
        ("tracking", {"id": "SUSE-SU-2024:1"}),
        ("tracking", {}),
    ],
)
def test_documents_of_another_vendor_are_refused(part, value):
    described = document({})
    described["document"][part] = value

    with pytest.raises(FeedMalformedError, match=r"^https://feed\.example/2024/doc\.json: "):
        read(described)


def test_advisory_and_vex_of_one_fix_are_one_statement():
    key = "rhel8:rpm/redhat/a@1-2?arch=x86_64"
    fixed = [{"category": "vendor_fix", "url": RHSA, "product_ids": [key]}]
    bodies = {
        "rhsa.json": document({"fixed": [key]}, ref="RHSA-2024:0001", severity="Important"),
        "vex.json": document({"fixed": [key]}, remediations=fixed, severity="Low"),
        "vex-unnamed.json": document({"fixed": [key]}),
    }

    harvest = crawl(
        CSAF, bodies, lambda url, *, unless_known: Document(json.dumps(bodies[url]).encode())
    )
    joined = CSAF.join(harvest.advisories)

    assert lines(joined) == {"RHSA-2024:0001": ["rhel:8 binary a affected 1-2"]}
    assert [fix.severity for each in joined for fix in each.fixes] == [Severity.HIGH]


def test_a_record_without_a_fix_gives_way_to_an_advisory_that_has_one():
    fixed = ["rhel8:rpm/redhat/a@1-2?arch=x86_64"]
    open_ = ["rhel8:rpm/redhat/a", "rhel8:rpm/redhat/b", "rhel86-eus:rpm/redhat/a"]
    record = read(document({"known_affected": open_})).advisories
    advisory = read(document({"fixed": fixed}, ref="RHSA-2024:0001")).advisories

    assert lines(CSAF.join(record + advisory)) == {
        "CVE-2024-1000": [
            "rhel:8 binary b no_fix no fixed version yet",
            "rhel:8.6 binary a no_fix eus no fixed version yet",
        ],
        "RHSA-2024:0001": ["rhel:8 binary a affected 1-2"],
    }


def test_joining_keeps_what_no_advisory_fixes():
    (record,) = read(
        document(
            {
                "fixed": ["rhel8:rpm/redhat/a@1-2?arch=x86_64"],
                "known_affected": ["rhel7-els:rpm/redhat/a"],
            }
        )
    ).advisories
    other = replace(record, ref="RHSA-2024:0001", cves=("CVE-2024-9999",))

    assert lines(CSAF.join((record, other)))["CVE-2024-1000"] == [
        "rhel:7 binary a no_fix els no fixed version yet",
        "rhel:8 binary a affected 1-2",
    ]


INDEX = "https://x.example/csaf/v2/vex/changes.csv"


def test_an_index_leads_to_its_newest_documents():
    days = [
        f'"2024/cve-2024-{n}.json","2024-01-01T00:{n // 60:02}:{n % 60:02}Z"' for n in range(900)
    ]

    page = CSAF.read(INDEX, "\n".join(days).encode())

    newest, changed = page.follow[0].split("#")
    assert newest == "https://x.example/csaf/v2/vex/2024/cve-2024-899.json"
    assert changed == "changed=2024-01-01T00:14:59%2B00:00"
    assert len(page.follow) == 500
    assert set(page.stands) == {f"CVE-2024-{n}" for n in range(900)}


def test_an_index_says_which_advisories_stand():
    page = CSAF.read(INDEX, b'"2024/rhsa-2024_0811.json","2024-01-01T00:00:00Z"')

    assert page.stands == ("RHSA-2024:0811",)


@pytest.mark.parametrize(
    "body",
    [b"", b"a,b,c\n", b'"2024/a.json","yesterday"\n', b"\xff", b"<html>", b'"2024/a.json"\n"\x00'],
)
def test_what_is_no_index_is_refused(body):
    with pytest.raises(FeedMalformedError, match=r"changes\.csv: not an index"):
        CSAF.read(INDEX, body)


def test_an_index_leads_nowhere_else():
    body = (
        b'"../../etc/x.json","2024-01-01T00:00:00Z"\n"https://y.example/a","2024-01-01T00:00:00Z"'
    )

    assert CSAF.read(INDEX, body).follow == ()


CAPTURED = [path.read_bytes() for path in sorted(HERE.glob("document*.json"))]
VALUES = st.none() | st.integers() | st.text(max_size=6) | st.just([]) | st.just({}) | st.just([1])


@settings(max_examples=150)
@given(
    st.sampled_from(CAPTURED),
    st.floats(0, 1),
    st.integers(0, 60),
    st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"]", b"\x00", b"null"]),
)
def test_damaged_documents_are_read_or_refused(body, at, gone, put):
    start = int(at * len(body))

    read_or_refused(body[:start] + put + body[start + gone :])


@settings(max_examples=150)
@given(st.sampled_from(CAPTURED), st.data())
def test_values_of_another_kind_are_read_or_refused(body, data):
    described = json.loads(body)
    at = described
    while isinstance(at, (dict, list)) and at:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(list(keys)))
        if (
            not at[key]
            or not isinstance(at[key], (dict, list))
            or data.draw(st.integers(0, 4)) == 0
        ):
            at[key] = data.draw(VALUES)
            break
        at = at[key]

    read_or_refused(json.dumps(described).encode())


def read_or_refused(body):
    try:
        page = CSAF.read(URL, body)
    except FeedMalformedError:
        return
    for fix in (fix for each in page.advisories for fix in each.fixes):
        assert bool(fix.fixed) == (fix.status is Status.AFFECTED)


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        (("rhel-9.7.z", "rhel-9.8.z.eus::appstream"), {"rhel-9.8.z.eus::appstream"}),
        (("rhel-9.9.z", "rhel-9.8.z.eus", "rhel-9.6.z.eus"), set()),
        (("rhel-9.7.z", "rhel-9.6.z.eus", "rhel-9.8.z.eus"), {"rhel-9.8.z.eus"}),
        (("rhel-9.8.z.eus", "rhel-10.2.z.eus", "rhel-10.1.z"), {"rhel-10.2.z.eus"}),
        (("rhel-8.4.0.z.eus", "rhel-8.10.z"), set()),
        (("rhel-9.7.z", "rhel-9.8.z.e4s", "AppStream-9.8.0.Z.EUS"), set()),
        ((), set()),
    ],
)
def test_the_newest_minor_release_is_the_main_stream_whatever_it_is_named(streams, expected):
    assert redhat.current(streams) == expected


def test_what_has_a_fixed_build_on_a_stream_is_not_without_a_fix_there():
    fixed = "rhel8:rpm/redhat/a@1-2?arch=x86_64"
    open_ = ["rhel8-apps:rpm/redhat/a", "rhel86-eus:rpm/redhat/a", "rhel8:rpm/redhat/b"]

    assert says({"fixed": [fixed], "known_affected": open_}) == {
        "CVE-2024-1000": [
            "rhel:8 binary a affected 1-2",
            "rhel:8 binary b no_fix no fixed version yet",
            "rhel:8.6 binary a no_fix eus no fixed version yet",
        ]
    }
