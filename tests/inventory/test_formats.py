"""Every format at once: recognised for what it is, and never more than an error when damaged."""

import gzip
import json
import random
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import bodies, formats
from inventory.managers import apk, dpkg, pip, rpm
from patchmgr.domain.packages import MANAGERS
from patchmgr.errors import BadFileError, InputError

DATA = Path(__file__).parents[1] / "data"
ROOT = DATA / "inventories"
MOST = 1 << 20


def text_of(path):
    body = path.read_bytes()
    return (gzip.decompress(body) if path.suffix == ".gz" else body).decode()


FACTS = {"packages": {"a": [{"name": "a", "version": "1", "source": "apt"}]}}
SAMPLES = {
    "dpkg status": ("dpkg", text_of(ROOT / "dpkg/trivy-valid.status")),
    "dpkg lines": ("dpkg", text_of(DATA / "apt-bookworm/dpkg-query.tsv.gz")),
    "rpm lines": ("rpm", "bash\t0\t5.1.8\t6.el9\tx86_64\tbash-5.1.8-6.el9.src.rpm\t(none)\tX\n"),
    "rpm -qa": ("rpm", "gpg-pubkey-1-2\nbash-5.1.8-6.el9.x86_64\ntzdata-2024a-1.el9.noarch\n"),
    "rpm manifest": ("rpm", text_of(ROOT / "rpm/httpd-24.rpm-manifest.json.gz")),
    "apk database": ("apk", text_of(ROOT / "apk/scalibr-installed")),
    "apk info": ("apk", "WARNING: opening\nmusl-1.2.4-r2\nzlib-1.3-r0\n"),
    "apk list": ("apk", "musl-1.2.4-r2 x86_64 {musl} (MIT) [installed]\n"),
    "pip list": ("pip", '[{"name": "a", "version": "1"}]'),
    "pip none": ("pip", "[]"),
    "pip list, old": ("pip", '[{"name": "a", "version": "1", "installer": "pip"}]'),
    "dpkg, blanks": ("dpkg", "adduser 3.134 all\nlibc6:i386 2.36-9+deb12u14 i386\n"),
    "pip freeze": ("pip", "# x\nrequests==2.31.0\n-e git+https://x/y@1#egg=z\n"),
    "pip columns": ("pip", "Package  Version\n-------  -------\nrequests 2.31.0\n"),
    "pip inspect": (
        "pip",
        '{"pip_version": "24", "installed": [{"metadata": {"name": "a", "version": "1"}}]}',
    ),
    "cyclonedx json": ("cyclonedx", text_of(ROOT / "sbom/centos-7-cyclonedx.json")),
    "cyclonedx xml": ("cyclonedx", text_of(ROOT / "sbom/alpine-3.17.cdx.xml")),
    "spdx": ("spdx", text_of(ROOT / "sbom/centos-7-spdx.json")),
    "ansible": ("ansible", json.dumps({"ansible_facts": FACTS})),
    "ansible cache": ("ansible", json.dumps(FACTS, indent=4)),
    "osquery": ("osquery", '[{"name": "a", "version": "1", "revision": "", "source": ""}]'),
    "osquery log": (
        "osquery",
        '{"snapshot": [{"name": "a", "version": "1", "release": "2"}], "hostIdentifier": "h"}\n',
    ),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_format_is_recognised_and_read(sample):
    name, text = SAMPLES[sample]

    found, listing = formats.read(text)

    assert found == name
    assert listing == formats.read(text, name)[1]
    assert listing.speaks_for


@pytest.mark.parametrize("text", ["hello\n", "{}", "<a/>", "\x00", "a,b\n1,2\n", "[1]"])
def test_what_is_nothing_that_we_know_asks_for_its_name(text):
    with pytest.raises(InputError, match="cannot be told from what the file says; name it"):
        formats.read(text)


LOOKALIKES = {  # what people send instead -> what is said of it
    "": "is empty",
    "||/ Name  Version  Architecture Description\nii  bash  5.2-1  amd64  a shell\n": "is dpkg -l",
    "adduser\t\t\t\tinstall\napt\thold\n": "is dpkg --get-selections, which names no versions",
    "bash/stable,now 5.2-1 amd64 [installed]\n": "is apt list, which names no sources",
    "bash-5.1.8-6.el9.x86_64     Tue 12 Mar 2024 10:11:12\n": "is rpm -qa --last",
    "Installed Packages\nbash.x86_64   5.1.8-6.el9   @baseos\n": "is a list of dnf or yum",
    "S  | Name | Type\n---+------+-----\ni+ | bash | package\n": "is a list of zypper",
    "<!DOCTYPE html>\n<html><body>Sign in": "is a web page",
    "hostname;manager;name\nweb1;dpkg;bash\n": "is a table of hosts or packages; hosts import or",
    "error: cannot open Packages database in /var/lib/rpm\n": "is an error of rpm",
    "# packages in environment at /opt/conda:\n#\npip  23.3  py_0\n": "is conda list",
    "+------+\n| name |\n+------+\n| bash |\n": "is a table for people",
    "SPDXVersion: SPDX-2.3\nPackageName: bash\n": "is SPDX in tag-value form",
    '{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}': "is SPDX 3",
    '{"artifacts": [{"name": "bash"}], "distro": {}}': "is a scanner's own JSON",
    "PLAY [all] ***\n\nTASK [debug] ***\n": "is the log of a playbook",
    "packages:\n  bash:\n  - version: 5.2\n": "is YAML; send the facts as JSON",
    "bash 5.2.026-2\nlinux 6.7.5.arch1-1\n": "names versions and no architectures, as pacman -Q",
    "Name        : bash\nVersion     : 5.1.8\nRelease     : 6.el9\n": "is rpm -qai",
    "SPDXID: SPDXRef-DOCUMENT\nspdxVersion: SPDX-2.3\npackages:\n": "is SPDX in YAML",
    "<Document>\n<SPDXID>x</SPDXID>\n<spdxVersion>SPDX-2.3</spdxVersion>": "is SPDX in XML",
    '<?xml version="1.0"?><SoftwareIdentity/>': "is XML of a kind that is not read",
    '<rdf:RDF xmlns:spdx="http://spdx.org/rdf/terms#"/>': "is SPDX in RDF",
    '{"@context": "https://x/v3.0.1/rdf/spdx-context.jsonld", "@graph": []}': "is SPDX 3",
    "name|version|arch\nbash|5.2-1|amd64\n": "is osquery's CSV",
    '[{"name": "bash", "version": "5.2.15-2~deb12u1"}]': "is a list of names and versions",
    '[{"name": "7-Zip", "publisher": "I", "version": "23.01"}]': "is a list of names and versions",
}


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_is_sent_in_place_of_a_listing_is_told_and_what_to_send(text):
    with pytest.raises(InputError) as refused:
        formats.read(text)

    assert str(refused.value).startswith(f"format: {LOOKALIKES[text]}")


@pytest.mark.parametrize("sign", ["-", "a-", "a ", "a/", "1.", '"', "a,", "a\t", "hostname "])
def test_a_long_line_of_anything_is_told_in_time(sign):
    """A pattern that looks at such a line again for each of its signs would take years."""
    with pytest.raises(InputError):
        formats.read(sign * 30_000)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="'deb' is no report format we read"):
        formats.read("x", "deb")


def test_every_manager_says_what_a_host_runs():
    assert all(each.COMMAND for each in (apk, dpkg, pip, rpm))


def test_every_format_and_its_command_is_documented():
    page = (Path(__file__).parents[2] / "docs/inventory.md").read_text()

    assert all(f"| `{name}` |" in page for name in formats.READERS)
    for manager in (apk, dpkg, pip, rpm):
        *words, last = manager.COMMAND
        assert f"{' '.join(words)} " in page
        assert last in page


# --- damage


def damaged(text, chance):
    """Return ``text`` as it might arrive: cut off, with bits turned, with parts of it repeated."""
    body = bytearray(text.encode()[: 1 << 14])
    match chance.randrange(4):
        case 0:
            del body[chance.randrange(len(body)) :]
        case 1:
            for _ in range(chance.randrange(1, 20)):
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        case 2:
            start, end = sorted(chance.randrange(len(body)) for _ in range(2))
            body[start:start] = body[start:end]
        case _:
            start, end = sorted(chance.randrange(len(body)) for _ in range(2))
            body[start:end] = chance.choice(
                (b"", b"\0", b"\xff" * 9, b"[" * 99, b"\\ud800", b"&a;")
            )
    return bytes(body)


def settle(body, name):
    """Read ``body``; return the listing, None when it is refused. Nothing else may happen."""
    try:
        _, listing = formats.read(bodies.text(body, most=MOST, name="body"), name)
    except (BadFileError, InputError) as error:
        str(error).encode()
        return None
    for each in listing.packages:
        assert each.manager in MANAGERS
        assert each.name
        assert each.version
        assert all(map(str.isprintable, astuple(each)))
    return listing


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_damaged_report_is_refused_or_a_clean_listing(sample):
    name, text = SAMPLES[sample]
    chance = random.Random(sample)

    settled = [settle(damaged(text, chance), name) for _ in range(60)]

    assert any(each is None for each in settled)


@pytest.mark.parametrize("name", formats.READERS)
def test_a_format_of_another_is_refused_or_a_clean_listing(name):
    for _, text in SAMPLES.values():
        settle(text.encode()[: 1 << 14], name)


@pytest.mark.parametrize("name", formats.READERS)
@given(text=st.text(max_size=200))
def test_whatever_arrives_is_refused_or_a_clean_listing(name, text):
    settle(text.encode(), name)


@pytest.mark.parametrize("name", formats.READERS)
@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a-" * 50_000,
        "1-1." * 100_000,
        "a\t" * 50_000,
        "a |" * 100_000,
        " " * 100_000 + "x",
        "(" * 100_000 + ") [" * 60_000,
        "[" * 100_000,
        '{"a":' * 100_000,
        "<a>" * 100_000,
        "x-1-r0 y {z} (" + ")  [" * 70_000,
        "a @ " * 80_000 + "\n!",
        '{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": '
        + '[{"components": ' * 9999,
    ],
    ids=range(13),
)
def test_long_lines_and_deep_documents_take_no_time(name, text):
    assert settle(text.encode(), name) is None


# --- bodies


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-16-le-bom"]
)
def test_reports_may_be_written_as_windows_does(encoding):
    text = "requests==2.31.0\r\n"
    body = b"\xff\xfe" + text.encode("utf-16-le") if "bom" in encoding else text.encode(encoding)

    assert bodies.text(body, most=MOST, name="body") == text
    assert bodies.text(gzip.compress(body), most=MOST, name="body") == text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"ok\n\xff\n", "body: row 2: is not UTF-8"),
        (b"\xff\xfea", "is not UTF-16"),
        (b"a" * (MOST + 1), "body: is larger than 1 MiB"),
        (gzip.compress(b"a" * (MOST + 1), mtime=0), "body: is larger than 1 MiB"),
        (
            gzip.compress(b"a" * 100, mtime=0)[:-9],
            "body: is no whole gzip stream (the gzip stream has no end)",
        ),
        (b"\x1f\x8bnot", "body: is no whole gzip stream"),
    ],
)
def test_bodies_that_are_no_text_are_refused(body, why):
    with pytest.raises(InputError) as error:
        bodies.text(body, most=MOST, name="body")

    assert why in str(error.value)
