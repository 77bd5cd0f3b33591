"""updateinfo.xml: the spellings of vendors, and what is never guessed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Kind, Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.formats.labels import labelled
from patchmgr.feeds.vendors.updateinfo.places import Place, channel_of, place_marked, place_named
from patchmgr.feeds.vendors.updateinfo.words import instant
from tests.feeds.mutations import mutated, real_documents

URL = "https://mirror.example/8/repodata/updateinfo.xml"
UPDATEINFO = FEEDS["updateinfo"]
PACKAGE = '<package name="vim" version="8.2" release="1.el8" epoch="2" arch="x86_64"/>'


def update(
    packages=PACKAGE, ref="A-1", kind="security", more="", collection="", inside="", attributes=""
):
    return (
        f'<update type="{kind}" {attributes}><id>{ref}</id>{more}<pkglist>'
        f'<collection short="{collection}">{inside}{packages}</collection></pkglist></update>'
    )


def page(*updates, url=URL, platform="almalinux:8"):
    return UPDATEINFO.read(url, f"<updates>{''.join(updates)}</updates>".encode(), platform)


def one(**words):
    (advisory,) = page(update(**words)).advisories
    return advisory


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("security", Kind.SECURITY),
        ("Security", Kind.SECURITY),
        ("bugfix", Kind.BUGFIX),
        ("recommended", Kind.BUGFIX),
        ("enhancement", Kind.ENHANCEMENT),
        ("newpackage", Kind.ENHANCEMENT),
        ("custom_type", Kind.ENHANCEMENT),
        ("", Kind.BUGFIX),
    ],
)
def test_only_what_is_called_security_is_security(word, kind):
    assert one(kind=word).kind is kind


def test_an_update_without_a_type_that_names_a_cve_is_security():
    more = '<references><reference type="cve" id="CVE-2024-12345"/></references>'

    assert one(kind="", more=more).kind is Kind.SECURITY
    assert one(kind="bugfix", more=more).kind is Kind.BUGFIX


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("Critical", Severity.CRITICAL),
        ("Important", Severity.HIGH),
        ("important", Severity.HIGH),
        ("Moderate", Severity.MEDIUM),
        ("medium", Severity.MEDIUM),
        ("Low", Severity.LOW),
        ("None", Severity.UNKNOWN),
        ("none", Severity.UNKNOWN),
        ("custom_severity", Severity.UNKNOWN),
        ("", Severity.UNKNOWN),
    ],
)
def test_every_spelling_of_severity_is_understood(word, severity):
    in_element = one(more=f"<severity>{word}</severity>")
    in_update = one(attributes=f'severity="{word}"')
    in_package = one(packages=PACKAGE.replace("<package ", f'<package severity="{word}" '))

    assert in_element.severity is in_update.severity is in_package.severity is severity
    assert in_package.fixes[0].severity is in_element.fixes[0].severity is severity


def test_a_package_may_be_worse_than_its_update():
    worse = PACKAGE.replace("vim", "vim-worse").replace("<package ", '<package severity="high" ')

    advisory = one(packages=PACKAGE + worse, more="<severity>low</severity>")

    assert [fix.severity for fix in advisory.fixes] == [Severity.LOW, Severity.HIGH]
    assert advisory.severity is Severity.HIGH


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2017-12-02 01:57:03", datetime(2017, 12, 2, 1, 57, 3, tzinfo=UTC)),
        ("2018-02-07 18:49", datetime(2018, 2, 7, 18, 49, tzinfo=UTC)),
        ("2018-02-07", datetime(2018, 2, 7, tzinfo=UTC)),
        ("2018-02-07T18:49:00Z", datetime(2018, 2, 7, 18, 49, tzinfo=UTC)),
        ("2018-02-07 20:49:00+02:00", datetime(2018, 2, 7, 18, 49, tzinfo=UTC)),
        ("2012-11-01 04:05:00 UTC", datetime(2012, 11, 1, 4, 5, tzinfo=UTC)),
        ("1562581800", datetime(2019, 7, 8, 10, 30, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("0001-01-01 00:00:00+14:00", None),
        ("99999999999999999999", None),
        ("9999-12-31 23:59:59", None),
    ],
)
def test_dates_are_read_in_the_spellings_that_vendors_use(text, expected):
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("flags", "after"),
    [
        ("<reboot_suggested>True</reboot_suggested>", "reboot"),
        ("<reboot_suggested/>", "reboot"),
        ("<reboot_suggested>1</reboot_suggested>", "reboot"),
        ("<reboot_suggested>False</reboot_suggested>", ""),
        ("<reboot_suggested>0</reboot_suggested>", ""),
        ("<relogin_suggested/>", "relogin"),
        ("<restart_suggested>true</restart_suggested>", "restart"),
        ("<restart_suggested/><reboot_suggested/>", "reboot"),
        ("<restart_suggested/><relogin_suggested/>", "relogin"),
        ("", ""),
    ],
)
def test_what_must_follow_is_said_of_the_update_or_of_a_package(flags, after):
    inside = PACKAGE.replace("/>", f">{flags}</package>")

    assert one(more=flags).fixes[0].after == one(packages=inside).fixes[0].after == after


def test_a_flag_of_one_package_is_not_its_neighbours():
    reboots = PACKAGE.replace("vim", "kernel").replace("/>", "><reboot_suggested/></package>")

    assert [fix.after for fix in one(packages=reboots + PACKAGE).fixes] == ["reboot", ""]


@pytest.mark.parametrize(
    ("epoch", "release", "version"),
    [
        ('epoch="0"', 'release="1.el8"', "8.2-1.el8"),
        ('epoch="2"', 'release="1.el8"', "2:8.2-1.el8"),
        ('epoch=""', 'release="1.el8"', "8.2-1.el8"),
        ("", 'release="1.el8"', "8.2-1.el8"),
        ("", "", "8.2"),
    ],
)
def test_an_epoch_of_zero_is_left_out(epoch, release, version):
    (fix,) = one(packages=f'<package name="vim" version="8.2" {epoch} {release}/>').fixes

    assert (fix.fixed, fix.arch) == (version, "")


def test_architectures_of_one_version_are_one_statement():
    rows = "".join(PACKAGE.replace("x86_64", arch) for arch in ("x86_64", "i686", "src", "noarch"))

    (fix,) = one(packages=rows).fixes

    assert fix.arch == "i686 noarch x86_64"


def test_architectures_of_several_documents_are_one_statement_in_the_end():
    x86 = one().fixes
    arm = one(packages=PACKAGE.replace("x86_64", "aarch64")).fixes
    newer = one(packages=PACKAGE.replace("8.2", "8.3")).fixes

    (joined,) = UPDATEINFO.join((type(one())("A-1", fixes=x86 + arm + newer),))

    assert [(fix.fixed, fix.arch) for fix in joined.fixes] == [
        ("2:8.2-1.el8", "aarch64 x86_64"),
        ("2:8.3-1.el8", "x86_64"),
    ]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("vim-debuginfo", 0),
        ("vim-debugsource", 0),
        ("kernel-debuginfo-common-x86_64", 0),
        ("kernel-debug", 1),
        ("java-1.8.0-openjdk-debug", 1),
    ],
)
def test_what_only_debuggers_read_is_left_out(name, kept):
    assert len(one(packages=PACKAGE.replace("vim", name)).fixes) == kept


def test_a_module_is_that_of_the_collection():
    inside = '<module name="ruby" stream="2.10" version="8060" context="d63f" arch="x86_64"/>'

    assert one(inside=inside).fixes[0].module == "ruby:2.10"
    assert one(packages=PACKAGE.replace("1.el8", "1.module+el8+1")).fixes[0].module == ""


def test_an_id_that_comes_again_is_one_advisory_with_all_fixes():
    later = update(
        PACKAGE.replace("8.2", "8.3"),
        more='<title>second</title><issued date="2024-02-02"/><severity>low</severity>',
    )
    sooner = update(
        PACKAGE.replace("vim", "emacs"),
        more='<title>first</title><issued date="2024-01-01"/><severity>high</severity>',
    )

    (advisory,) = page(later, sooner, update()).advisories

    assert [(fix.package, fix.fixed) for fix in advisory.fixes] == [
        ("emacs", "2:8.2-1.el8"),
        ("vim", "2:8.2-1.el8"),
        ("vim", "2:8.3-1.el8"),
    ]
    assert (advisory.title, advisory.severity) == ("second", Severity.HIGH)
    assert advisory.published == datetime(2024, 1, 1, tzinfo=UTC)


def test_an_update_that_was_taken_back_is_left_out():
    assert page(update(attributes='status="retracted"')).advisories == ()


def test_cves_come_from_ids_and_titles_of_references_whatever_their_type():
    references = (
        '<references><reference type="cve" id="1493960" title="a bug"/>'
        '<reference type="cve" id="cve-2024-00001" title=""/>'
        '<reference type="bugzilla" id="17" title="CVE-2024-10002 CVE-2024-00001 vim: hole"/>'
        '<reference type="cve" id="CVE-001"/>'
        '<reference type="self" href="https://errata.example/A-1"/></references>'
    )

    advisory = one(more=references)

    assert advisory.cves == ("CVE-2024-00001", "CVE-2024-10002")
    assert advisory.url == "https://errata.example/A-1"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Fedora 27", Place("fedora:27")),
        ("F29", Place("fedora:29")),
        ("Fedora 29 Modular", Place("fedora:29")),
        ("Fedora EPEL 8", Place()),
        ("AlmaLinux 8", Place("almalinux:8")),
        ("almalinux-9-for-x86_64-appstream-rpms__9_2_default", Place("almalinux:9")),
        ("Rocky Linux 8", Place("rocky:8")),
        ("RL8", Place("rocky:8")),
        ("rocky-linux-9-x86-64-baseos-rpms", Place("rocky:9")),
        ("Oracle Linux 8", Place("ol:8")),
        ("ol9_appstream", Place("ol:9")),
        ("Amazon Linux 2", Place("amzn:2")),
        ("amazon-linux-2023", Place("amzn:2023")),
        ("amazon-linux", Place()),
        ("openSUSE Leap 15.6 Update", Place("opensuse-leap:15.6")),
        ("SUSE-SLE-Module-Basesystem-15-SP4-2022-1234", Place("sles:15.4")),
        ("SUSE-SLE-Module-Basesystem-15-2019-1234", Place()),
        ("SUSE-SLE-Product-SLES-15-SP1-LTSS-2021-186", Place("sles:15.1", "ltss")),
        ("SUSE-SLE-Product-SLES-15-SP1-BCL-2021-186", Place("sles:15.1", "bcl")),
        ("SUSE-SLE-SERVER-12-SP3-ESPOS-2021-1", Place("sles:12.3", "espos")),
        ("SUSE-SLE-Product-SLES_SAP-15-SP1-2021-944", Place("sles_sap:15.1")),
        ("SUSE-SLE-Product-HPC-15-SP1-ESPOS-2021-944", Place("sle_hpc:15.1", "espos")),
        ("SUSE-SLE-DESKTOP-12-SP3-2018-1", Place("sled:12.3")),
        ("SUSE Linux Enterprise Server 15 SP4", Place("sles:15.4")),
        ("rhel-8-for-x86_64-baseos-rpms__8_DOT_9", Place("rhel:8")),
        ("rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_6", Place("rhel:8.6", "eus")),
        ("rhel-9-for-x86_64-appstream-e4s-rpms", Place("rhel:9", "e4s")),
        ("Red Hat Enterprise Linux Server (v. 7)", Place("rhel:7")),
        ("Red Hat Enterprise Linux Server AUS (v. 7.7)", Place("rhel:7.7", "aus")),
        ("Red Hat Enterprise Linux 9", Place("rhel:9")),
        ("Red Hat Enterprise Linux BaseOS E4S (v.8.4)", Place("rhel:8.4", "e4s")),
        ("Red Hat Enterprise Linux AppStream TUS (v. 8.6)", Place("rhel:8.6", "tus")),
        ("none-appstream-rpms__ruby", Place()),
        ("named collection", Place()),
        ("el8", Place()),
        ("", Place()),
    ],
)
def test_only_a_release_that_is_written_out_says_the_platform(name, place):
    assert place_named((name,)) == place


@pytest.mark.parametrize(
    ("ref", "release", "platform"),
    [
        ("ELSA-2024-1234", "1.el8_9", "ol:8"),
        ("ALSA-2024:1234", "1.module_el8.9.0+1", ""),
        ("ALBA-2024:1234", "1.el9", "almalinux:9"),
        ("RLSA-2024:1234", "1.module+el8.5.0+7", "rocky:8"),
        ("FEDORA-2024-abcdef", "1.fc40", "fedora:40"),
        ("RHSA-2024:1234", "1.el8", ""),  # its rebuilds carry the same ids
        ("A-1", "1.el8", ""),
        ("ELSA-2024-1234", "1", ""),
    ],
)
def test_an_id_of_one_vendor_and_its_mark_say_the_platform(ref, release, platform):
    assert place_marked(ref, release).platform == platform


@pytest.mark.parametrize(
    ("ref", "release", "channel"),
    [
        ("ALASKERNEL-5.10-2022-001", "1.amzn2", "extras-kernel-5.10"),
        ("ALAS2DOCKER-2021-001", "1.amzn2", "extras-docker"),
        ("ALAS2-2018-942", "1.amzn2", ""),
        ("ALAS2023-2024-512", "1.amzn2023", ""),
        ("ELSA-2024-1234", "1.ksplice1.el8", "ksplice"),
    ],
)
def test_extras_and_ksplice_builds_are_for_those_who_take_them(ref, release, channel):
    assert channel_of(ref, release) == channel


def test_the_documents_word_on_its_platform_comes_first():
    said = update(more="<release>Rocky Linux 8</release>")

    def platforms(*updates, **words):
        found = page(*updates, **words).advisories
        return [fix.platform for advisory in found for fix in advisory.fixes]

    assert platforms(said) == ["rocky:8"]
    assert platforms(update()) == ["almalinux:8"]
    assert platforms(update(), url=labelled(URL, platform="rhel:8")) == ["rhel:8"]
    assert platforms(said, update(ref="A-2"), platform="") == ["rocky:8", "rocky:8"]
    assert platforms(said, update(ref="A-2")) == ["rocky:8", "almalinux:8"]


def test_without_a_platform_the_document_is_refused():
    with pytest.raises(FeedMalformedError, match=r"xml: does not say .* --platform, such as alma"):
        page(update(), platform="")


def test_updates_of_nowhere_among_those_of_several_releases_are_set_aside():
    releases = [
        update(more=f"<release>Rocky Linux {n}</release>", ref=f"R-{n}") for n in (8, 9, 10)
    ]

    found = page(*releases, update(), platform="")

    assert [each.ref for each in found.set_aside] == ["A-1"]
    assert [len(each.fixes) for each in found.advisories] == [0, 1, 1, 1]


def test_odd_updates_are_set_aside_up_to_a_quarter():
    good = [update(ref=f"A-{n}") for n in range(6)]
    nameless = update(ref="")
    half = update(PACKAGE.replace('version="8.2"', "") + PACKAGE, ref="B-1")

    found = page(*good, nameless, half)

    assert [(each.ref, each.where) for each in found.set_aside] == [
        ("", "update 7"),
        ("B-1", "B-1, vim"),
    ]
    assert [len(each.fixes) for each in found.advisories] == [1] * 7
    with pytest.raises(FeedMalformedError, match=r"2 of 7 updates are odd, such as update 6"):
        page(*good[1:], nameless, half)


def test_a_repository_without_updates_says_nothing():
    assert page() == UPDATEINFO.read(URL, b"<filelists/>")


INDEX = (
    '<repomd><data type="primary"><location href="repodata/p.xml.gz"/></data>'
    '<data type="updateinfo"><checksum type="sha256">aa</checksum>'
    '<open-checksum type="sha256">bb</open-checksum><location href="{}"/></data></repomd>'
)
REPOMD = "https://mirror.example/8/os/repodata/repomd.xml#platform=rhel:8&suite=baseos"


def test_an_index_leads_to_its_updateinfo_with_what_is_known_of_it():
    found = UPDATEINFO.read(REPOMD, INDEX.format("repodata/u.xml.gz").encode())

    assert found.follow == (
        "https://mirror.example/8/os/repodata/u.xml.gz#platform=rhel:8&suite=baseos&sha256=bb",
    )


@pytest.mark.parametrize("href", ["", "https://elsewhere.example/u.xml", "//[", "file:///etc/u"])
def test_an_index_leads_nowhere_else(href):
    with pytest.raises(FeedMalformedError, match="is not a"):
        UPDATEINFO.read(REPOMD, INDEX.format(href).encode())


def test_an_index_without_updateinfo_is_told():
    found = UPDATEINFO.read(REPOMD, INDEX.replace("updateinfo", "other").encode())

    assert [each.reason for each in found.set_aside] == ["this repository has no updateinfo"]


def test_a_document_that_its_index_does_not_name_is_refused():
    with pytest.raises(FeedMalformedError, match="not the document that its index speaks of"):
        page(update(), url=labelled(URL, sha256="0" * 64))


def test_a_list_of_mirrors_leads_to_the_first_on_its_server():
    url = "https://cdn.example/2/core/mirror.list#platform=amzn:2&suite=core"
    body = b"https://evil.example/x\nhttps://cdn.example/2/abc/\nhttps://cdn.example/2/def\n"

    assert UPDATEINFO.read(url, body).follow == (
        "https://cdn.example/2/abc/repodata/repomd.xml#platform=amzn:2&suite=core",
    )
    with pytest.raises(FeedMalformedError, match="without any mirror"):
        UPDATEINFO.read(url, b"<html>https://evil.example/</html> https://[")


def test_a_fleet_reads_only_the_repositories_that_it_needs():
    found = UPDATEINFO.addresses(
        frozenset({"rocky:9.4", "fedora:40", "rhel:9", "debian:12", "amzn:2018.03", "amzn:2"})
    )

    assert {address.partition("platform=")[2] for address in found} == {
        "rocky:9&suite=baseos",
        "rocky:9&suite=appstream",
        "rocky:9&suite=crb",
        "rocky:9&suite=extras",
        "fedora:40&suite=updates",
        "amzn:2&suite=core",
    }
    assert set(UPDATEINFO.addresses(frozenset({"almalinux:9"}))) <= set(UPDATEINFO.start)
    assert UPDATEINFO.addresses(frozenset()) == ()


@given(st.sampled_from(real_documents("updateinfo")).flatmap(mutated))
def test_whatever_the_damage_it_is_read_or_refused(body):
    try:
        found = UPDATEINFO.read(URL, body, "almalinux:8")
    except FeedMalformedError:
        return
    for advisory in found.advisories:
        assert advisory.ref.isprintable()
        assert advisory.title.isprintable()
