"""OVAL of Red Hat, Oracle and Microsoft: trees of criteria, and what each vendor means by them."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchmgr.domain.advisories import Severity, Status
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

URL = "https://feed.example/oval.xml"
HERE = Path(__file__).parents[1] / "data" / "feeds"
OWN = {"redhat-oval": "com.redhat.rhsa", "oracle-oval": "com.oracle.elsa"}
AZURE = "com.microsoft.azurelinux"
RELEASE = {"redhat-oval": "Red Hat Enterprise Linux 8", "oracle-oval": "Oracle Linux 8"}
MAIN = ("cpe:/a:redhat:enterprise_linux:8::appstream", "cpe:/o:redhat:enterprise_linux:8::baseos")


def said(comment, test=""):
    return f'<criterion comment="{comment}" test_ref="{test}"/>'


def tree(operator, *parts):
    return f'<criteria operator="{operator}">{"".join(parts)}</criteria>'


def package(name, evr, key="tree"):
    return tree(
        "AND", said(f"{name} is earlier than {evr}"), said(f"{name} is signed with the {key} key")
    )


def definition(
    own, criteria, *, ref="RHSA-2024:1", cve="CVE-2024-1000", kind="patch", more="", n=1
):
    references = (("RHSA", ref), ("elsa", ref), ("CVE", cve))
    return (
        f'<definition class="{kind}" id="oval:{own}:def:{n}"><metadata>'
        f"<title>{ref}: t (Low)</title>"
        + "".join(f'<reference source="{s}" ref_id="{r}"/>' for s, r in references if r)
        + f'{more}<advisory><severity>Important</severity><issued date="2024-02-03"/>{{}}'
        f"</advisory></metadata>{criteria}</definition>"
    )


def document(*definitions, tests="", objects="", states=""):
    return (
        f"<oval_definitions><definitions>{''.join(definitions)}</definitions><tests>{tests}</tests>"
        f"<objects>{objects}</objects><states>{states}</states></oval_definitions>"
    ).encode()


def words(fix):
    yield from (fix.platform, fix.package, fix.status, fix.introduced, fix.fixed)
    yield f"up to {fix.last_affected}" if fix.last_affected else ""
    yield from (fix.arch, fix.module, fix.channel, fix.reason)


def lines(page):
    return {
        each.ref: sorted(" ".join(filter(None, words(fix))) for fix in each.fixes)
        for each in page.advisories
    }


def read(feed, *definitions, url=URL, **parts):
    return FEEDS[feed].read(url, document(*definitions, **parts))


def says(feed, criteria, details="", **of):
    one = definition(OWN[feed], criteria, **{"ref": "ELSA-2024-1", **of} if feed[0] == "o" else of)
    page = read(feed, one.format(details))
    assert page.set_aside == ()
    return next(iter(lines(page).values()), None)


def cpes(*names):
    listed = "".join(f"<cpe>{name}</cpe>" for name in names)
    return f"<affected_cpe_list>{listed}</affected_cpe_list>"


@pytest.mark.parametrize("feed", OWN)
def test_a_package_counts_for_the_release_above_it(feed):
    release = said(f"{RELEASE[feed]} is installed")
    platform = {"redhat-oval": "rhel:8", "oracle-oval": "ol:8"}[feed]

    assert says(
        feed, tree("AND", release, tree("OR", package("a", "0:1-2"), package("b", "3:1-2")))
    ) == [f"{platform} a affected 1-2", f"{platform} b affected 3:1-2"]


@pytest.mark.parametrize("feed", OWN)
def test_a_module_counts_for_the_packages_below_it_only(feed):
    release = said(f"{RELEASE[feed]} is installed")
    modular = tree(
        "AND", said("Module nodejs:18 is enabled"), tree("OR", package("nodejs", "1:18-1"))
    )

    assert [
        line.partition(" ")[2]
        for line in says(feed, tree("AND", release, tree("OR", modular, package("plain", "0:1-1"))))
    ] == ["nodejs affected 1:18-1 nodejs:18", "plain affected 1-1"]


def test_alternatives_of_release_are_told_from_the_packages_beside_them():
    releases = tree(
        "OR",
        said("Red Hat Enterprise Linux 8 is installed"),
        said("Red Hat CoreOS 4 is installed"),
    )
    guard = said("Red Hat Enterprise Linux must be installed")

    assert says("redhat-oval", tree("OR", guard, tree("AND", releases, package("a", "0:1-2")))) == [
        "rhel:8 a affected 1-2"
    ]


def test_which_kernel_runs_is_the_hosts_affair():
    running = tree(
        "OR",
        said("kernel earlier than 0:4.18.0-80.4.2.el8_0 is currently running"),
        said("kernel earlier than 0:4.18.0-80.4.2.el8_0 is set to boot up on next boot"),
    )
    release = said("Red Hat Enterprise Linux 8 is installed")

    assert says(
        "redhat-oval", tree("AND", release, running, package("kernel", "0:4.18.0-80.4.2.el8_0"))
    ) == ["rhel:8 kernel affected 4.18.0-80.4.2.el8_0"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (MAIN, ["rhel:8 a affected 1-2"]),
        (("cpe:/a:redhat:rhel_extras_other:8",), ["rhel:8 a affected 1-2"]),
        (("cpe:/a:redhat:rhel_extras_rt_els:8",), ["rhel:8 a affected 1-2 els"]),
        (("cpe:/o:redhat:enterprise_linux_eus:8.9",), ["rhel:8.9 a affected 1-2 eus"]),
        (("cpe:/o:redhat:rhel_eus:8.6::baseos",), ["rhel:8.6 a affected 1-2 eus"]),
        (
            ("cpe:/o:redhat:rhel_aus:8.4::baseos", "cpe:/o:redhat:rhel_tus:8.4::baseos"),
            ["rhel:8.4 a affected 1-2 aus", "rhel:8.4 a affected 1-2 tus"],
        ),
        (("cpe:/o:redhat:rhel_eus:9.2::baseos", *MAIN), ["rhel:8 a affected 1-2"]),
        (("cpe:/a:redhat:ansible_engine:2.9::el8",), None),
        ((), ["rhel:8 a affected 1-2"]),
    ],
)
def test_product_streams_are_told_by_their_cpe(listed, expected):
    release = said("Red Hat Enterprise Linux 8 is installed")

    assert (
        says("redhat-oval", tree("AND", release, package("a", "0:1-2")), cpes(*listed)) == expected
    )


def test_what_lists_no_stream_is_of_the_streams_of_its_document():
    release = said("Red Hat Enterprise Linux 8 is installed")
    criteria = tree("AND", release, package("a", "0:1-2"))
    first = definition("com.redhat.rhsa", criteria).format(cpes("cpe:/o:redhat:rhel_eus:8.6"))
    other = definition("com.redhat.rhsa", criteria, ref="RHSA-2024:2").format("")

    assert lines(read("redhat-oval", first, other))["RHSA-2024:2"] == [
        "rhel:8.6 a affected 1-2 eus"
    ]


def unfixed(*resolutions, names=("curl", "libcurl"), module=""):
    release = said("Red Hat Enterprise Linux 8 is installed")
    parts = [tree("AND", said(f"{n} is installed"), said(f"{n} is signed with x")) for n in names]
    below = tree("OR", *parts)
    if module:
        below = tree("AND", said(f"Module {module} is enabled"), below)
    states = "".join(
        f'<resolution state="{state}"><component>{component}</component></resolution>'
        for state, component in resolutions
    )
    found = says(
        "redhat-oval",
        tree("AND", release, below),
        f"<affected>{states}</affected>",
        kind="vulnerability",
        ref="",
    )
    return [line.removeprefix("rhel:8 ") for line in found]


def test_what_has_no_fix_has_red_hats_word_for_it():
    assert unfixed() == [
        "curl no_fix no fixed version yet",
        "libcurl no_fix no fixed version yet",
    ]
    assert unfixed(("Affected", "curl"), names=["curl"]) == ["curl no_fix no fixed version yet"]
    assert unfixed(("Will not fix", "curl")) == [
        "curl no_fix will not fix",
        "libcurl no_fix will not fix",
    ]
    assert unfixed(("Under investigation", "curl"), names=["curl"]) == [
        "curl undetermined under investigation"
    ]


def test_of_several_words_that_of_the_packages_own_source_counts_else_all_are_named():
    words = (("Out of support scope", "curl"), ("Fix deferred", "curl-tools"))

    assert unfixed(*words, names=("curl", "curl-tools-extra", "libcurl")) == [
        "curl no_fix out of support scope",
        "curl-tools-extra no_fix fix deferred",
        "libcurl no_fix fix deferred, or out of support scope",
    ]
    assert unfixed(
        ("Will not fix", "nodejs:12/nodejs"),
        ("Fix deferred", "nodejs"),
        names=["nodejs"],
        module="nodejs:12",
    ) == ["nodejs no_fix nodejs:12 will not fix"]


def test_what_can_never_be_true_is_left_out():
    release = said("Red Hat Enterprise Linux 8 is installed")
    never = tree("AND", release, said("a is installed"), said("a is not installed"))
    unaffected = definition("com.redhat.unaffected", never, kind="vulnerability", ref="", n=2)
    other = definition("com.redhat.rhsa", tree("AND", release, package("a", "0:1-2")))

    assert list(lines(read("redhat-oval", unaffected.format(""), other.format("")))) == [
        "RHSA-2024:1"
    ]


RPM = {
    "tests": '<rpminfo_test id="t"><object object_ref="o"/><state state_ref="s"/></rpminfo_test>',
    "objects": '<rpminfo_object id="o"><name>named</name></rpminfo_object>',
    "states": '<rpminfo_state id="s"><arch operation="pattern match">{}</arch>'
    '<evr operation="less than">0:2-{}</evr></rpminfo_state>',
}


def test_a_test_says_more_than_the_comment_on_it():
    criteria = tree(
        "AND",
        said("Red Hat Enterprise Linux 8 is installed"),
        said("comment is earlier than 0:1-1", "t"),
    )
    one = definition("com.redhat.rhsa", criteria).format("")
    parts = {**RPM, "states": RPM["states"].format("aarch64|x86_64", "1.el8")}

    assert lines(read("redhat-oval", one, **parts)) == {
        "RHSA-2024:1": ["rhel:8 named affected 2-1.el8"]
    }


def test_what_neither_test_nor_comment_explains_is_set_aside():
    release = said("Red Hat Enterprise Linux 8 is installed")
    good = [
        definition("com.redhat.rhsa", tree("AND", release, package("a", "0:1-2")), n=n).format("")
        for n in range(5)
    ]
    odd = definition("com.redhat.rhsa", tree("AND", release, said("a is odd", "none")), n=9)

    page = read("redhat-oval", *good, odd.format(""))

    assert [(each.ref, each.where, each.reason) for each in page.set_aside] == [
        ("CVE-2024-1000", "oval:com.redhat.rhsa:def:9", "nothing explains the criterion 'a is odd'")
    ]
    with pytest.raises(FeedMalformedError, match=r"oval\.xml: 1 of 2 definitions are not"):
        read("redhat-oval", good[0], odd.format(""))


def test_dates_severities_and_titles_are_the_advisorys():
    criteria = tree("AND", said("Red Hat Enterprise Linux 8 is installed"), package("a", "0:1-2"))

    (advisory,) = read("redhat-oval", definition("com.redhat.rhsa", criteria).format("")).advisories

    assert (advisory.title, advisory.cves) == ("t", ("CVE-2024-1000",))
    assert (advisory.severity, advisory.fixes[0].severity) == (Severity.HIGH, Severity.HIGH)
    assert advisory.published == datetime(2024, 2, 3, tzinfo=UTC)


def oracle(*branches):
    release = said("Oracle Linux 7 is installed")
    return says("oracle-oval", tree("AND", release, tree("OR", *branches)))


def on(arch, *parts):
    return tree("AND", said(f"Oracle Linux arch is {arch}"), tree("OR", *parts))


def test_a_fixed_version_that_differs_by_architecture_names_it():
    assert oracle(on("aarch64", package("a", "0:1-2")), on("x86_64", package("a", "0:1-3"))) == [
        "ol:7 a affected 1-2 aarch64",
        "ol:7 a affected 1-3 i686 x86_64",
    ]


def test_one_version_for_every_architecture_names_none():
    assert oracle(on("aarch64", package("a", "0:1-2")), on("x86_64", package("a", "0:1-2"))) == [
        "ol:7 a affected 1-2"
    ]


def test_an_erratum_for_one_architecture_says_nothing_of_the_others():
    assert oracle(on("aarch64", package("a", "0:1-2"))) == ["ol:7 a affected 1-2 aarch64"]


def test_ksplice_and_fips_builds_are_kept_apart():
    assert oracle(
        on("x86_64", package("glibc", "2:2.17-326.0.1.ksplice1.el7_9")),
        on("x86_64", package("gnutls", "10:3.6.16-4.0.1.el8_fips")),
    ) == [
        "ol:7 glibc affected 2:2.17-326.0.1.ksplice1.el7_9 i686 x86_64 ksplice",
        "ol:7 gnutls affected 10:3.6.16-4.0.1.el8_fips i686 x86_64 fips",
    ]


def azure(*bounds, patchable="true", url=URL, platform="", name="a"):
    criteria = tree("AND", *(said("x", f"t{n}") for n, _bound in enumerate(bounds)))
    one = definition(
        AZURE, criteria, kind="vulnerability", ref="", more=f"<patchable>{patchable}</patchable>"
    )
    body = document(
        one.format(""),
        tests="".join(
            f'<rpminfo_test id="t{n}"><object object_ref="o"/><state state_ref="s{n}"/>'
            "</rpminfo_test>"
            for n, _bound in enumerate(bounds)
        ),
        objects=f'<rpminfo_object id="o"><name>{name}</name></rpminfo_object>',
        states="".join(
            f'<rpminfo_state id="s{n}"><evr operation="{operation}">{evr}</evr></rpminfo_state>'
            for n, (operation, evr) in enumerate(bounds)
        ),
    )
    return next(iter(lines(FEEDS["azurelinux"].read(url, body, platform)).values()), None)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([("less than", "0:2-1.azl3")], "a affected 2-1.azl3"),
        (
            [("less than", "0:2-1.azl3"), ("greater than", "0:0.0.0.azl3")],
            "a affected 2-1.azl3",
        ),
        (
            [("less than", "0:2-1.azl3"), ("greater than", "0:1-1.azl3")],
            "a affected 1-1.azl3^ 2-1.azl3",
        ),
        (
            [("less than", "0:2-1.azl3"), ("greater than or equal", "0:1-1.azl3")],
            "a affected 1-1.azl3 2-1.azl3",
        ),
        (
            [("less than or equal", "0:2-1.azl3")],
            "a no_fix up to 2-1.azl3 no fixed version yet",
        ),
    ],
)
def test_azure_linux_bounds_are_a_range(bounds, expected):
    assert azure(*bounds) == [f"azurelinux:3.0 {expected}"]


def test_what_is_not_applicable_is_left_out():
    assert azure(("less than", "0:2-1.azl3"), patchable="Not Applicable") is None


@pytest.mark.parametrize(
    "bounds",
    [
        [("greater than", "0:2-1.azl3")],
        [("less than", "0:2-1.azl3"), ("less than or equal", "0:2-1.azl3")],
        [("less than", "0:2-1.azl3"), ("less than", "0:3-1.azl3")],
        [("less than", "0:2-1.azl3"), ("pattern match", "0:3-1.azl3")],
        [("less than", "a b")],
    ],
)
def test_what_is_no_range_is_not_guessed(bounds):
    with pytest.raises(FeedMalformedError, match="1 of 1 definitions"):
        azure(*bounds)


@pytest.mark.parametrize(
    ("url", "version", "platform", "expected"),
    [
        ("https://x.example/azurelinux-3.0-oval.xml", "0:1-1", "", "azurelinux:3.0"),
        ("https://x.example/cbl-mariner-2.0-oval.xml.gz", "0:1-1", "", "mariner:2.0"),
        (URL, "0:1-1.azl3", "mariner:2.0", "azurelinux:3.0"),
        (URL, "0:1-1.cm2", "", "mariner:2.0"),
        (URL, "0:1-1", "azurelinux:4.0", "azurelinux:4.0"),
    ],
)
def test_the_release_is_that_of_the_name_else_of_the_builds(url, version, platform, expected):
    assert azure(("less than", version), url=url, platform=platform) == [
        f"{expected} a affected {version[2:]}"
    ]


def test_a_release_that_nothing_names_is_asked_for():
    with pytest.raises(FeedMalformedError, match=r"oval\.xml: does not say .* --platform"):
        azure(("less than", "0:1-1"))


@pytest.mark.parametrize("feed", ["redhat-oval", "oracle-oval", "azurelinux"])
def test_definitions_of_another_vendor_are_refused(feed):
    other = definition("org.debian", "").format("")

    with pytest.raises(FeedMalformedError, match=r"oval\.xml: 'oval:org\.debian:def:1' is not"):
        read(feed, other)


@pytest.mark.parametrize(
    ("feed", "platforms", "expected"),
    [
        ("redhat-oval", {"rhel:8.6", "debian:12"}, ["rhel-8-including-unpatched.oval.xml.bz2"]),
        ("oracle-oval", {"ol:7.9", "rhel:8"}, ["com.oracle.elsa-ol7.xml.bz2"]),
        ("azurelinux", {"mariner:2.0"}, ["cbl-mariner-2.0-oval.xml"]),
        ("redhat-csaf", {"debian:12"}, []),
    ],
)  # fmt: skip
def test_a_fleet_fetches_what_it_needs(feed, platforms, expected):
    found = FEEDS[feed].addresses(frozenset(platforms))

    assert [url.rsplit("/", 1)[-1] for url in found] == expected


CAPTURED = [
    (FEEDS[name], path.read_bytes())
    for name in ("redhat-oval", "oracle-oval", "azurelinux")
    for path in sorted((HERE / name).glob("document*.xml"))
]


@settings(max_examples=150)
@given(
    st.sampled_from(CAPTURED),
    st.floats(0, 1),
    st.integers(0, 60),
    st.binary(max_size=4) | st.sampled_from([b'"', b"<criteria>", b"</metadata>", b"\x00", b"&x;"]),
)
def test_damaged_documents_are_read_or_refused(captured, at, gone, put):
    feed, body = captured
    start = int(at * len(body))

    with_damage = body[:start] + put + body[start + gone :]
    try:
        page = feed.read(URL, with_damage)
    except FeedMalformedError:
        return
    for fix in (fix for each in page.advisories for fix in each.fixes):
        assert bool(fix.fixed) == (fix.status is Status.AFFECTED)


@settings(max_examples=100)
@given(st.sampled_from(CAPTURED), st.integers(0, 400), st.text("<>&x:.0\x01 é", max_size=8))
def test_values_of_another_kind_are_read_or_refused(captured, number, put):
    feed, body = captured
    values = list(re.finditer(rb'"[^"]*"|>[^<\n]+<', body))
    chosen = values[number % len(values)]
    safe = put.encode("ascii", "xmlcharrefreplace").replace(b"<", b"&lt;").replace(b"\x01", b"")

    with suppress(FeedMalformedError):
        feed.read(URL, body[: chosen.start() + 1] + safe + body[chosen.end() - 1 :])
