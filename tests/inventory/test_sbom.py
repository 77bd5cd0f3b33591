"""SBOMs: what is installed, by package URL; what cannot be judged is counted, never guessed."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from inventory.sbom import cyclonedx, spdx
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

DATA = Path(__file__).parents[1] / "data"
SBOM = DATA / "inventories/sbom"
XML = '<bom xmlns="http://cyclonedx.org/schema/bom/1.5"><components>{}</components></bom>'


def bom(*components, **more):
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components)} | more
    )


def part(purl, **more):
    return {"type": "library", "name": "x", "purl": purl} | more


def only(purl, **more):
    (package,) = cyclonedx.read(bom(part(purl, **more))).packages
    return package


def document(*purls, **more):
    packages = [
        {
            "SPDXID": f"SPDXRef-{place}",
            "name": "x",
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE_MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": purl,
                }
            ],
        }
        for place, purl in enumerate(purls)
    ]
    head = {"spdxVersion": "SPDX-2.2", "SPDXID": "SPDXRef-DOCUMENT"}
    return json.dumps(head | {"packages": packages} | more)


# --- real documents


def test_a_real_debian_image_is_what_others_found_in_it():
    text = gzip.decompress((SBOM / "postgres-stretch.cdx.xml.gz").read_bytes()).decode()
    with (DATA / "cases/osv-debian9-postgres/packages.csv").open() as rows:
        known = {Package("dpkg", *row.values()) for row in csv.DictReader(rows)}

    listing = cyclonedx.read(text)

    assert listing.packages >= known
    assert sorted(each.name for each in listing.packages - known) == [
        "github.com/opencontainers/runc",
        "github.com/tianon/gosu",
        "golang.org/x/sys",
    ]
    assert listing.system == "debian:9"
    assert listing.not_judged_why == (
        "postgresql 11.15: is of type generic, of which no feed speaks",
    )


def test_a_real_alpine_image_is_read():
    listing = cyclonedx.read((SBOM / "alpine-3.17.cdx.xml").read_text())

    assert len(listing.packages) == 14
    assert (
        Package("apk", "libcrypto3", "3.0.8-r0", "x86_64", "openssl", "3.0.8-r0")
        in listing.packages
    )
    assert listing.system == "alpine:3.17.2"
    assert listing.not_judged_why == ("busybox 1.35.0: has no package URL",)


def test_two_documents_about_one_image_say_the_same():
    one = cyclonedx.read((SBOM / "centos-7-cyclonedx.json").read_text())
    other = spdx.read((SBOM / "centos-7-spdx.json").read_text())

    assert one.system == other.system == "centos:7"
    assert one.not_judged == other.not_judged == 0
    assert {(p.name, p.version, p.arch) for p in one.packages} == {
        ("bash", "4.2.46-31.el7", "x86_64"),
        ("openssl-libs", "1:1.0.2k-16.el7", "x86_64"),
    }
    assert {(p.name, p.version, p.arch) for p in other.packages} == {
        (p.name, p.version, p.arch) for p in one.packages
    }


def test_a_release_without_a_name_is_one_of_the_namespace():
    text = (SBOM / "alpine-zlib-16.cdx.json").read_text()

    assert cyclonedx.read(text).system == "alpine:3.22.0"


def test_a_source_in_the_place_of_the_package_is_told_apart():
    listing = spdx.read((SBOM / "only-unimportant.spdx.json").read_text())

    assert listing.packages == {
        Package("dpkg", "libpcre3", "2:8.39-12ubuntu0.1", "amd64", "pcre3", "2:8.39-12ubuntu0.1")
    }
    assert listing.system == "ubuntu:20.04"


# --- package URLs


@pytest.mark.parametrize(
    ("purl", "package"),
    [
        (
            "pkg:deb/debian/libssl3@3.0.15-1?arch=amd64&upstream=openssl%403.0.15",
            Package("dpkg", "libssl3", "3.0.15-1", "amd64", "openssl", "3.0.15"),
        ),
        (
            "pkg:deb/debian/bsdutils@2.38.1-5%2Bb1?arch=amd64&epoch=1&upstream=util-linux@2.38.1-5",
            Package("dpkg", "bsdutils", "1:2.38.1-5+b1", "amd64", "util-linux", "2.38.1-5"),
        ),
        (
            "pkg:deb/debian/bsdutils@1:2.38.1-5?arch=amd64&epoch=1",
            Package("dpkg", "bsdutils", "1:2.38.1-5", "amd64"),
        ),
        (
            "pkg:rpm/redhat/mod_ssl@2.4.62-1.el9?arch=x86_64&epoch=1&upstream=httpd-2.4.62-1.el9.src.rpm",
            Package("rpm", "mod_ssl", "1:2.4.62-1.el9", "x86_64", "httpd", "1:2.4.62-1.el9"),
        ),
        (
            "pkg:rpm/redhat/ruby@2.7.8-139.module%2Bel8.8.0?arch=s390x&rpmmod=ruby:2.7:808:63b",
            Package("rpm", "ruby", "2.7.8-139.module+el8.8.0", "s390x", module="ruby:2.7"),
        ),
        (
            "pkg:apk/alpine/libcrypto3@3.0.8-r0?arch=x86_64&origin=openssl",
            Package("apk", "libcrypto3", "3.0.8-r0", "x86_64", "openssl", "3.0.8-r0"),
        ),
        (
            "pkg:alpm/arch/pacman@6.0.1-1?arch=x86_64",
            Package("alpm", "pacman", "6.0.1-1", "x86_64"),
        ),
        ("pkg:pypi/Zope.Interface@6.1", Package("pypi", "zope-interface", "6.1")),
        ("pkg:npm/%40angular/core@17.0.0", Package("npm", "@angular/core", "17.0.0")),
        ("pkg:golang/golang.org/x/net@v0.1.0", Package("golang", "golang.org/x/net", "v0.1.0")),
        (
            "pkg:maven/org.apache.commons/commons-text@1.9?type=jar",
            Package("maven", "org.apache.commons:commons-text", "1.9"),
        ),
        ("pkg:gem/rails@7.0.1", Package("gem", "rails", "7.0.1")),
        ("pkg:cargo/rand@0.7.2", Package("cargo", "rand", "0.7.2")),
        ("pkg:nuget/Newtonsoft.Json@13.0.1", Package("nuget", "Newtonsoft.Json", "13.0.1")),
    ],
)
def test_a_package_url_names_a_package(purl, package):
    assert only(purl) == package
    assert spdx.read(document(purl)).packages == {package}


def test_types_that_tools_wrote_before_they_were_settled_are_known():
    assert only("pkg:alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1").manager == "apk"


def test_keys_of_rpm_are_no_packages():
    listing = cyclonedx.read(
        bom(part("pkg:rpm/rhel/gpg-pubkey@fd43-4ae0"), part("pkg:gem/rails@7"))
    )

    assert (len(listing.packages), listing.not_judged) == (1, 0)


def test_a_document_may_stand_within_what_a_dependency_graph_answers():
    whole = json.loads(document("pkg:gem/rails@7"))

    assert spdx.read(json.dumps({"sbom": whole})).packages == spdx.read(json.dumps(whole)).packages


def test_a_version_beside_a_url_without_one_counts():
    assert only("pkg:gem/rails", version="7.0.1").version == "7.0.1"


def test_where_sources_are_named_a_package_without_one_is_its_own():
    named = part("pkg:deb/debian/libssl3@3.0.15-1?upstream=openssl")
    own = part("pkg:deb/debian/zlib1g@1.2-1")

    by_name = {each.name: each for each in cyclonedx.read(bom(named, own)).packages}

    assert (by_name["zlib1g"].source, by_name["zlib1g"].source_version) == ("zlib1g", "1.2-1")
    assert only("pkg:deb/debian/zlib1g@1.2-1").source == ""


def test_what_tools_write_beside_the_url_names_the_source():
    properties = [
        {"name": "aquasecurity:trivy:SrcName", "value": "util-linux"},
        {"name": "aquasecurity:trivy:SrcVersion", "value": "2.38.1"},
        {"name": "aquasecurity:trivy:SrcRelease", "value": "5"},
        {"name": "aquasecurity:trivy:SrcEpoch", "value": "2"},
    ]
    package = only("pkg:deb/debian/bsdutils@2.38.1-5", properties=properties)

    assert (package.source, package.source_version) == ("util-linux", "2:2.38.1-5")


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ({"type": "library", "name": "left", "version": "1"}, "left 1: has no package URL"),
        (part("left-pad"), "x: left-pad is no package URL"),
        (part("pkg:generic/x@1"), "x: is of type generic, of which no feed speaks"),
        (part("pkg:gem/x"), "x: has no version"),
        (part("pkg:maven/x@1"), "x: is a source package, or is not named as its type is"),
        (part("pkg:deb/debian/x@1?arch=source"), "x: is a source package"),
        (part("pkg:rpm/redhat/x@1-1?arch=src"), "x: is a source package"),
        (part("pkg:gem/x@1%202"), "x: version has spaces or control characters"),
        (part(f"pkg:gem/{'x' * 201}@1"), "x: name is longer than 200 characters"),
        (part("pkg:gem/x@%00"), "x: version has spaces or control characters"),
    ],
)
def test_what_cannot_be_judged_is_counted_and_said(component, why):
    listing = cyclonedx.read(bom(component, part("pkg:gem/rails@7")))

    assert len(listing.packages) == listing.not_judged == 1
    assert listing.not_judged_why[0].startswith(why)


def test_of_many_that_cannot_be_judged_the_first_are_named():
    listing = cyclonedx.read(bom(*[part("pkg:generic/x@1")] * 50, part("pkg:gem/rails@7")))

    assert listing.not_judged == 50
    assert len(listing.not_judged_why) == 20


# --- the document


def test_components_hold_components_and_the_subject_may_be_one():
    nested = part("pkg:gem/a@1", components=[part("pkg:gem/b@1", components=[part("pkg:gem/c@1")])])
    subject = part("pkg:npm/app@1.0.0", components=[part("pkg:gem/d@1")])
    text = bom(nested, metadata={"component": subject})

    assert sorted(each.name for each in cyclonedx.read(text).packages) == [
        "a",
        "app",
        "b",
        "c",
        "d",
    ]


def test_xml_holds_the_same_and_what_a_component_was_made_from_is_not_installed():
    inner = "<component type='library'><name>b</name><purl>pkg:gem/b@1</purl></component>"
    pedigree = f"<pedigree><ancestors>{inner}</ancestors></pedigree>"
    outer = (
        "<component type='library'><!-- a --><name>a</name><purl>pkg:gem/a@1</purl>"
        "{}</component><component type='file'><name>f</name></component>"
    )

    held = cyclonedx.read(XML.format(outer.format(f"<components>{inner}</components>")))
    made = cyclonedx.read(XML.format(outer.format(pedigree)))

    assert sorted(each.name for each in held.packages) == ["a", "b"]
    assert [each.name for each in made.packages] == ["a"]
    assert held.not_judged == 0


def test_an_image_that_a_document_is_about_is_no_package_of_it():
    image = {"type": "container", "name": "debian:12", "purl": "pkg:oci/debian@sha256%3Aabc"}

    assert cyclonedx.read(bom(part("pkg:gem/a@1"), metadata={"component": image})).not_judged == 0
    described = {"SPDXID": "SPDXRef-image", "name": "debian:12"}
    given = json.loads(document("pkg:gem/a@1"))
    given["packages"].append(described)
    assert spdx.read(json.dumps(given)).not_judged == 1
    given["documentDescribes"] = ["SPDXRef-image"]
    assert spdx.read(json.dumps(given)).not_judged == 0


@pytest.mark.parametrize(
    ("component", "system"),
    [
        ({"name": "debian", "version": "12.5"}, "debian:12"),
        ({"name": "redhat", "version": "9.4"}, "rhel:9.4"),
        ({"name": "Alpine Linux", "version": "3.19.1"}, "alpine:3.19.1"),
        ({"name": "something", "version": "else"}, ""),
        ({"name": "debian"}, ""),
    ],
)
def test_the_system_is_a_component_of_its_own(component, system):
    text = bom(part("pkg:gem/a@1"), {"type": "operating-system"} | component)

    assert cyclonedx.read(text).system == system
    assert cyclonedx.read(text).not_judged == 0


@pytest.mark.parametrize(
    ("distro", "system"),
    [
        ("debian-12", "debian:12"),
        ("debian-12.5", "debian:12"),
        ("bookworm", "debian:12"),
        ("debian-trixie/sid", "debian:rolling"),
        ("ubuntu-22.04", "ubuntu:22.04"),
        ("redhat-9.4", "rhel:9.4"),
        ("amazon-2 (Karoo)", "amzn:2"),
        ("opensuse.leap-15.5", "opensuse-leap:15.5"),
        ("opensuse-tumbleweed-20240823", "opensuse-tumbleweed:20240823"),
        ("oracle-8.9", "ol:8.9"),
        ("12", "debian:12"),
        ("unheard", ""),
    ],
)
def test_the_system_is_told_by_the_distro_of_packages(distro, system):
    assert cyclonedx.read(bom(part(f"pkg:deb/debian/x@1?distro={distro}"))).system == system


def test_a_document_of_two_systems_is_refused():
    parts = [part(f"pkg:deb/debian/x@1?distro=debian-{release}") for release in (11, 12)]

    with pytest.raises(BadFileError, match="'debian:11, debian:12' are several systems"):
        cyclonedx.read(bom(*parts))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (bom(), "lists no installed package"),
        (bom(part("pkg:generic/x@1")), "lists nothing that can be judged; x: is of type generic"),
        (bom(specVersion="2.0"), "column specVersion: '2.0' is no version"),
        (bom(bomFormat="other"), "column bomFormat: is not CycloneDX"),
        (bom(1), "column components[0]: is no JSON object"),
        (bom(part("pkg:gem/a@1", components=[1])), "components[0].components[0]: is no JSON"),
        (bom(metadata=[1]), "column metadata: is no JSON object"),
        ('{"bomFormat"', "is not whole JSON"),
        ('{"bomFormat": ' + "[" * 100_000, "is nested deeper"),
        ("<bom/>", "is a document of <bom>"),
        (XML.format("") + "<", "is not whole XML"),
        (XML.replace("1.5", "9").format(""), "column specVersion: '9' is no version"),
        (XML.format("<a>" * 300 + "</a>" * 300), "is not whole XML"),
        ('<!DOCTYPE bom [<!ENTITY a "b">]>' + XML.format("&a;"), "has a document type"),
    ],
)
def test_what_is_no_such_document_is_said(text, why):
    with pytest.raises(BadFileError) as error:
        cyclonedx.read(text)

    assert why in str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (document(), "lists no installed package"),
        (document(spdxVersion="SPDX-3.0"), "'SPDX-3.0' is not SPDX 2; export the document"),
        (document(SPDXID="x"), "column SPDXID: is not that of an SPDX document"),
        (document(packages={}), "column packages: is no JSON list"),
        (document(relationships=[1]), "relationships[0]: is no JSON object"),
        ("[]", "is no JSON object"),
    ],
)
def test_what_is_no_spdx_document_is_said(text, why):
    with pytest.raises(BadFileError) as error:
        spdx.read(text)

    assert why in str(error.value)
