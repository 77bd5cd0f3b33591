"""Vendors' repositories: signed, whole, and the newest of everything."""

import csv
import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import SignatureMode, Tsk, sign

from patchmgr.domain.versions import compare
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS
from patchmgr.feeds.crawl import Document, crawl
from patchmgr.feeds.formats import openpgp
from patchmgr.feeds.keys import Keys
from patchmgr.feeds.vendors.archive import Archive
from patchmgr.feeds.vendors.archive.suites import suite_of
from tests.feeds.mutations import mutated, real_documents

KEY, STRANGER = Tsk.generate("archive@vendor.example"), Tsk.generate("stranger@vendor.example")
KEYRING = bytes(KEY.extract_certificate())
ARCHIVE = Archive(Keys((bytes(STRANGER.extract_certificate()), KEYRING)))
BASE = "https://deb.example/debian/dists/bookworm-security/"
URL = f"{BASE}InRelease"

PACKAGES = b"""\
Package: libssl3
Source: openssl
Version: 3.0.15-1
Architecture: amd64

Package: libssl3
Source: openssl
Version: 3.0.9-1
Architecture: amd64

Package: bsdutils
Source: util-linux (2.38.1-5)
Version: 1:2.38.1-5
Architecture: amd64
Description: first line
 Package: not-a-field
 Version: 9
"""


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def release(*listed, extra="", **fields):
    said = {
        "Origin": "Debian",
        "Suite": "oldstable-security",
        "Codename": "bookworm-security",
        "Architectures": "amd64 arm64",
        **fields,
    }
    rows = "".join(f" {sha256(body)} {len(body):>8} {path}\n" for path, body in listed)
    text = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in said.items() if value)
    return f"{text}{extra}SHA256:\n{rows}".encode()


def signed(text, key=KEY):
    return sign(key.signer(), text, mode=SignatureMode.CLEAR)


MAIN = (
    ("main/binary-amd64/Packages", PACKAGES),
    ("main/binary-amd64/Packages.gz", gzip.compress(PACKAGES, mtime=0)),
)


def read(text, url=URL, **words):
    return ARCHIVE.read(url, signed(text), **words)


def test_a_release_leads_to_its_packages_with_their_digest():
    (address,) = read(release(*MAIN)).follow

    assert address == (
        f"{BASE}main/binary-amd64/Packages.gz"
        f"#platform=debian:12&suite=bookworm-security&sha256={sha256(PACKAGES)}"
    )


def test_where_a_server_keeps_files_by_digest_they_are_fetched_so():
    (address,) = read(release(*MAIN, Acquire_By_Hash="yes")).follow

    assert address.startswith(f"{BASE}main/binary-amd64/by-hash/SHA256/{sha256(MAIN[1][1])}#")


def test_a_crawl_takes_the_packages_of_a_signed_release():
    served = {URL: signed(release(*MAIN)), f"{BASE}main/binary-amd64/Packages.gz": MAIN[1][1]}
    read_so_far = []

    class Noting(Archive):
        def read(self, url, body, platform=""):
            page = super().read(url, body, platform)
            read_so_far.append(page)
            return page

    def fetch(url, *, unless_known):
        return Document(served[url.partition("#")[0]])

    crawl(Noting(Keys((KEYRING,))), [URL], fetch)

    assert [
        (each.platform, each.suite, each.name, each.version, each.source, each.source_version)
        for each in read_so_far[-1].offers
    ] == [
        ("debian:12", "bookworm-security", "bsdutils", "1:2.38.1-5", "util-linux", "2.38.1-5"),
        ("debian:12", "bookworm-security", "libssl3", "3.0.15-1", "openssl", "3.0.15-1"),
    ]


def test_packages_that_are_not_those_of_the_release_are_refused():
    (address,) = read(release(*MAIN)).follow

    assert len(ARCHIVE.read(address, PACKAGES).offers) == 2
    with pytest.raises(FeedMalformedError, match="not the document that its index speaks of"):
        ARCHIVE.read(address, PACKAGES.replace(b"3.0.15", b"3.0.14"))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (signed(release(*MAIN), STRANGER), "its signature does not hold"),
        (signed(release(*MAIN)).replace(b"Debian", b"Debien"), "its signature does not hold"),
        (signed(release(*MAIN))[:-200], "its signature does not hold"),
        (release(*MAIN), "is not signed in clear text"),
        (b"Injected: 1\n\n" + signed(release(*MAIN)), "is not signed in clear text"),
        (PACKAGES, "is not signed in clear text"),
        (b"", "is not signed in clear text"),
    ],
    ids=["stranger", "changed", "cut", "unsigned", "preceded", "packages", "empty"],
)
def test_only_what_a_known_key_has_signed_is_a_release(document, reason):
    with pytest.raises(FeedMalformedError, match=rf"^{URL}: {reason}"):
        Archive(Keys((KEYRING,))).read(URL, document)


def test_what_follows_the_signed_text_is_not_read():
    forged = signed(release()) + release(*MAIN)

    with pytest.raises(FeedMalformedError, match="gives no SHA-256"):
        ARCHIVE.read(URL, forged)


def test_without_keys_or_with_broken_ones_nothing_is_verified():
    document = signed(release(*MAIN))

    with pytest.raises(FeedMalformedError, match=r"no key .* setting archive_keys"):
        FEEDS["archive"].read(URL, document)
    with pytest.raises(FeedMalformedError, match=r"a keyring .* cannot be read"):
        Archive(Keys((b"no keys",))).read(URL, document)


def test_an_unsigned_release_says_what_to_give_instead():
    with pytest.raises(FeedMalformedError, match="give the signed InRelease"):
        ARCHIVE.read("dists/bookworm/Release", release(*MAIN))


def test_an_armoured_keyring_is_a_keyring():
    armoured = str(KEY.extract_certificate()).encode()

    assert openpgp.verified(URL, signed(b"a\n- b\n"), [armoured]).rstrip() == b"a\n- b"


def test_a_release_says_until_when_it_holds():
    dated = read(release(*MAIN, Valid_Until="Sat, 28 Nov 2026 00:53:02 UTC"))

    assert dated.expires == datetime(2026, 11, 28, 0, 53, 2, tzinfo=UTC)
    assert read(release(*MAIN)).expires is None
    with pytest.raises(FeedMalformedError, match="Valid-Until 'tomorrow' is no date"):
        read(release(*MAIN, Valid_Until="tomorrow"))


@pytest.mark.parametrize(
    ("fields", "url", "platform", "suite"),
    [
        ({}, URL, "debian:12", "bookworm-security"),
        (
            {"Suite": "oldstable", "Codename": "bookworm"},
            "/lists/deb.example_debian_dists_bookworm_InRelease",
            "debian:12",
            "bookworm",
        ),
        (
            {"Suite": "oldoldstable", "Codename": "buster"},
            "https://deb.example/debian-security/dists/buster/updates/InRelease",
            "debian:10",
            "buster",
        ),
        (
            {"Origin": "Ubuntu", "Suite": "jammy-security", "Codename": "jammy"},
            "http://archive.example/ubuntu/dists/jammy-security/InRelease",
            "ubuntu:22.04",
            "jammy-security",
        ),
        (
            {"Origin": "Somebody", "Suite": "stable", "Codename": "bookworm"},
            "https://somebody.example/dists/bookworm/InRelease#platform=debian:12",
            "debian:12",
            "bookworm",
        ),
    ],
)
def test_a_release_of_debian_or_ubuntu_says_its_platform(fields, url, platform, suite):
    (address,) = read(release(*MAIN, **fields), url).follow

    assert f"#platform={platform}&suite={suite}&sha256=" in address


@pytest.mark.parametrize(
    ("fields", "url", "reason"),
    [
        ({"Codename": "bookworm"}, URL, "the Release there is that of bookworm"),
        ({}, f"{URL}#platform=debian:13", "is of debian:12, not of debian:13"),
        ({"Origin": "Somebody"}, URL, "does not say which platform it speaks of"),
        ({"Codename": "", "Suite": ""}, URL, "a Release without Codename and Suite"),
    ],
)
def test_a_release_in_anothers_place_is_refused(fields, url, reason):
    with pytest.raises(FeedMalformedError, match=reason):
        read(release(*MAIN, **fields), url)


def test_only_lists_of_the_wanted_architectures_are_read():
    listed = [
        (f"{component}/binary-{arch}/Packages", PACKAGES)
        for component in ("main", "contrib", "main/debian-installer")
        for arch in ("amd64", "arm64", "all", "riscv64")
    ]
    text = release(*listed, ("main/source/Sources", PACKAGES), ("x/../binary-amd64/Packages", b"x"))

    def lists(text, url=URL):
        paths = [each.partition("#")[0].removeprefix(BASE) for each in read(text, url).follow]
        return sorted(path.removesuffix("/Packages").replace("binary-", "") for path in paths)

    assert lists(text) == ["contrib/amd64", "contrib/arm64", "main/amd64", "main/arm64"]
    assert lists(text, f"{URL}#arch=riscv64") == ["contrib/riscv64", "main/riscv64"]
    with_all = text.replace(b"amd64 arm64", b"all amd64 arm64")
    assert lists(with_all, f"{URL}#arch=amd64") == [
        "contrib/all",
        "contrib/amd64",
        "main/all",
        "main/amd64",
    ]
    inside = with_all.replace(b"SHA256:", b"No-Support-for-Architecture-all: Packages\nSHA256:")
    assert lists(inside, f"{URL}#arch=amd64") == ["contrib/amd64", "main/amd64"]


def test_empty_lists_are_not_fetched_and_those_without_a_digest_are_told():
    page = read(
        release(
            ("main/binary-amd64/Packages", b""),
            ("main/binary-amd64/Packages.gz", gzip.compress(b"", mtime=0)),
            ("contrib/binary-amd64/Packages.gz", MAIN[1][1]),
        )
    )

    assert page.follow == ()
    assert [(each.where, each.reason) for each in page.set_aside] == [
        (f"{BASE}contrib/binary-amd64/Packages", "its Release lists it only packed"),
    ]


def test_a_suite_that_apt_does_not_install_from_offers_nothing():
    assert read(release(*MAIN, NotAutomatic="yes")).follow == ()


@pytest.mark.parametrize(
    ("url", "suite"),
    [
        (f"{BASE}main/binary-amd64/Packages.gz", "bookworm-security"),
        ("/l/deb.example_debian_dists_bookworm_main_binary-amd64_Packages", "bookworm"),
        ("security-Packages.gz", "security"),
        ("/srv/jammy/Packages", "jammy"),
        ("/srv/main/binary-amd64/Packages.xz", "main"),
        ("/srv/v3.19/community/x86_64/APKINDEX.tar.gz/APKINDEX", "community"),
        (f"/srv/9/BaseOS/x86_64/os/repodata/{'a' * 64}-primary.xml.gz", "BaseOS"),
        ("https://deb.example/Packages", "archive"),
        ("Packages", "archive"),
        ("https://deb.example/dists/x/Packages#suite=baseos", "baseos"),
        (f"/srv/{'x' * 300}/Packages", "archive"),
    ],
)
def test_the_suite_is_what_the_place_says(url, suite):
    assert suite_of(url) == suite


def test_a_file_that_an_administrator_hands_over_needs_no_signature():
    page = ARCHIVE.read("/srv/bookworm/Packages", PACKAGES, "debian:12")

    assert {(each.platform, each.suite) for each in page.offers} == {("debian:12", "bookworm")}
    with pytest.raises(FeedMalformedError, match="--platform, such as debian:12"):
        ARCHIVE.read("/srv/bookworm/Packages", PACKAGES)


def test_a_security_archive_is_ahead_of_a_real_machine_just_where_apt_says():
    case = Path(__file__).parents[1] / "data" / "apt-bookworm"
    body = gzip.decompress((case / "security-Packages.gz").read_bytes())
    page = ARCHIVE.read("security-Packages", body, "debian:12")
    offered = {(each.name, each.arch): each for each in page.offers}
    with gzip.open(case / "packages.csv.gz", "rt") as file:
        installed = list(csv.DictReader(file))

    ahead = [
        (each["name"], each["version"], offer.version, offer.source, offer.source_version)
        for each in installed
        for offer in [offered.get((each["name"], each["arch"]))]
        if offer and compare("dpkg", each["version"], offer.version) == "<"
    ]

    pending = csv.reader((case / "security-pending.csv").read_text().splitlines()[1:])
    assert sorted(ahead) == sorted((row[0], row[1], row[2], row[3], row[5]) for row in pending)


def test_a_cut_is_noticed_where_a_line_has_no_end():
    with pytest.raises(FeedMalformedError, match="cut off"):
        ARCHIVE.read("Packages", PACKAGES[:-1], "debian:12")


@pytest.mark.parametrize(
    ("said", "phased"),
    [("20", 20), ("0", 0), ("100", 100), ("700", 100), ("", 100), ("-5", 100), ("a few", 100)],
)
def test_a_package_says_to_how_many_hosts_it_is_offered(said, phased):
    """What apt cannot read as a percentage, it does not phase."""
    stanza = f"Package: curl\nVersion: 7-1\nArchitecture: amd64\nPhased-Update-Percentage: {said}\n"

    (offer,) = ARCHIVE.read("Packages", stanza.encode(), "ubuntu:24.04").offers

    assert offer.phased == phased


def test_packages_that_are_odd_are_set_aside_up_to_a_quarter():
    page = ARCHIVE.read("Packages", PACKAGES + b"\nPackage: half\n", "debian:12")

    assert [(each.where, each.reason) for each in page.set_aside] == [
        ("half", "without name, version or architecture"),
    ]
    with pytest.raises(FeedMalformedError, match="2 of 5 packages are odd, such as half"):
        ARCHIVE.read("Packages", PACKAGES + b"\nPackage: half\n\nVersion: 1\n", "debian:12")


PRIMARY = (
    '<metadata xmlns="http://linux.duke.edu/metadata/common"'
    ' xmlns:rpm="http://linux.duke.edu/metadata/rpm">{}</metadata>'
)


def rpm(name="vim", epoch="0", version="8.2", release="1.el9", arch="x86_64", source=""):
    return (
        f'<package type="rpm"><name>{name}</name><arch>{arch}</arch>'
        f'<version epoch="{epoch}" ver="{version}" rel="{release}"/>'
        f"<format><rpm:sourcerpm>{source}</rpm:sourcerpm></format></package>"
    )


def offers(body, url="x/primary.xml"):
    page = ARCHIVE.read(f"{url}#suite=baseos", body, "almalinux:9")
    return [(each.name, each.version, each.arch, each.module) for each in page.offers]


def test_the_newest_of_each_architecture_is_offered():
    packages = (
        rpm(version="8.10"),
        rpm(version="8.9"),
        rpm(arch="i686"),
        rpm(arch="src", version="9"),
        rpm(name="grub2", epoch="1", source="grub2-2.06-70.el9.src.rpm"),
    )

    assert offers(PRIMARY.format("".join(packages)).encode()) == [
        ("grub2", "1:8.2-1.el9", "x86_64", ""),
        ("vim", "8.2-1.el9", "i686", ""),
        ("vim", "8.10-1.el9", "x86_64", ""),
    ]


def test_what_a_package_was_built_from_is_known():
    body = PRIMARY.format(rpm("vim-minimal", source="vim-8.2-1.el9.src.rpm")).encode()

    (offer,) = ARCHIVE.read("primary.xml", body, "almalinux:9").offers

    assert (offer.source, offer.source_version) == ("vim", "8.2-1.el9")


MODULES = b"""\
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: %s
  artifacts:
    rpms:
    - nodejs-1:%s-1.module_el8.9.0+1.x86_64
    - nodejs-1:%s-1.module_el8.9.0+1.src
...
"""


def test_the_newest_of_each_stream_of_a_module_is_offered():
    modular = PRIMARY.format(rpm("nodejs", "1", "18.2", "1.module_el8.9.0+1") + rpm()).encode()
    body = b"".join(
        MODULES % (stream, version, version)
        for stream, version in ((b"10", b"10.2"), (b"18", b"18.2"), (b"1.10", b"1.1"))
    )

    assert offers(modular) == [("vim", "8.2-1.el9", "x86_64", "")]
    assert offers(body, "modules.yaml") == [
        ("nodejs", "1:1.1-1.module_el8.9.0+1", "x86_64", "nodejs:1.10"),
        ("nodejs", "1:10.2-1.module_el8.9.0+1", "x86_64", "nodejs:10"),
        ("nodejs", "1:18.2-1.module_el8.9.0+1", "x86_64", "nodejs:18"),
    ]


@pytest.mark.parametrize(
    "tail",
    [
        b"[" * 100_000,
        b"data: " + b"{a: " * 100_000,
        b"data:\n" + b"".join(b" " * n + b"a:\n" for n in range(3000)),
        b"data: [1, 2]\n",
        b"data: {name: [], stream: 1}\n",
        b"data: {name: a, stream: b, artifacts: {rpms: [x]}}\n",
        b"a: *nothing\n",
        b"\xff",
    ],
)
def test_yaml_that_describes_no_module_is_refused(tail):
    with pytest.raises(FeedMalformedError):
        ARCHIVE.read("modules.yaml", b"---\ndocument: modulemd\n" + tail, "almalinux:8")


def test_an_index_leads_to_packages_and_modules():
    body = b"".join(
        (
            b'<repomd><data type="modules"><location href="repodata/m.yaml.gz"/></data>',
            b'<data type="primary"><open-checksum type="sha512">ab</open-checksum>',
            b'<location href="repodata/p.xml.gz"/></data><data type="filelists"/></repomd>',
        )
    )
    url = "https://m.example/os/repodata/repomd.xml#platform=rhel:9&suite=baseos"

    assert ARCHIVE.read(url, body).follow == (
        "https://m.example/os/repodata/m.yaml.gz#platform=rhel:9&suite=baseos",
        "https://m.example/os/repodata/p.xml.gz#platform=rhel:9&suite=baseos&sha512=ab",
    )


def test_an_apkindex_gives_the_newest_with_its_origin():
    body = b"".join(
        b"C:Q1=\nP:%s\nV:%s\nA:x86_64\no:openssl\nt:1\n\n" % pair
        for pair in (
            (b"libssl3", b"3.1.10-r0"),
            (b"libssl3", b"3.1.9-r2"),
            (b"openssl", b"3.1.10-r0"),
        )
    )

    page = ARCHIVE.read("/srv/main/x86_64/APKINDEX", body, "alpine:3.19")

    assert [(each.name, each.version, each.source, each.suite) for each in page.offers] == [
        ("libssl3", "3.1.10-r0", "openssl", "main"),
        ("openssl", "3.1.10-r0", "openssl", "main"),
    ]
    with pytest.raises(FeedMalformedError, match="2 of 5 packages are odd"):
        ARCHIVE.read("APKINDEX", body + b"P:x\n\nV:1\n", "alpine:3.19")


def test_a_fleet_reads_only_the_repositories_that_it_needs():
    found = ARCHIVE.addresses(
        frozenset({"debian:12", "debian:8", "ubuntu:22.04", "ubuntu:22.10", "alpine:3.19.1", "x:1"})
    )

    assert {
        address.partition("#")[0].partition("://")[2].split("/", 1)[1] for address in found
    } == {
        *(
            f"{place}/dists/jammy{pocket}/InRelease"
            for place in ("ubuntu", "ubuntu-ports")
            for pocket in ("", "-updates", "-security")
        ),
        *(
            f"alpine/v3.19/{suite}/{arch}/APKINDEX.tar.gz"
            for suite in ("main", "community")
            for arch in ("x86_64", "aarch64")
        ),
    }
    assert ARCHIVE.addresses(frozenset()) == ()


@given(st.sampled_from(real_documents("archive")).flatmap(mutated))
def test_whatever_the_damage_it_is_read_or_refused(body):
    try:
        page = ARCHIVE.read("https://feed.example/x", body, "debian:12")
    except FeedMalformedError:
        return
    assert all(offer.name.isprintable() for offer in page.offers)


SIGNED = signed(release(*MAIN))


@given(mutated(SIGNED))
def test_whatever_the_damage_nothing_but_the_signed_text_is_believed(body):
    try:
        page = ARCHIVE.read(URL, body)
    except FeedMalformedError:
        return
    assert page == ARCHIVE.read(URL, SIGNED)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_they_are_refused_as_signed(body):
    with pytest.raises(FeedMalformedError):
        openpgp.verified(URL, openpgp.BEGIN + body, [KEYRING])
