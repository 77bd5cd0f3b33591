"""The form of a bundle: nothing is lost in it, and no byte of it can change unseen."""

import io
import struct
import zipfile
from dataclasses import fields
from datetime import UTC, date, datetime

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.advisories import Advisory, Fix, Kind, Match, Severity, Status
from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import ConflictError, InputError
from patchmgr.feeds.base import Offer, Support
from patchmgr.feeds.bundle import container, lines, manifest, writing
from patchmgr.feeds.bundle.reading import Bundle

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DIGEST = "0" * 64
KEY = manifest.Key("Ed25519", "SHA256:" + DIGEST, "PEM")
FIX = Fix("debian:12", "openssl", Match.SOURCE, Status.AFFECTED, "3.0-1", scheme="dpkg")
CONTENT = {
    "debian": [
        Advisory("CVE-2026-1", ("CVE-2026-1",), published=NOW, fixes=(FIX,)),
        Advisory("DSA-1-1", ("CVE-2026-1", "CVE-2026-2"), "openssl", Severity.HIGH),
    ],
    "kev": [FlawNote("CVE-2026-1", kev=True, kev_added=date(2026, 3, 1))],
}

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
word = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=12)
names = word.filter(bool)
instants = st.datetimes(timezones=st.just(UTC))
known = {str: text, bool: st.booleans(), Severity: st.sampled_from(Severity)}
fixes = st.builds(
    Fix,
    **{each.name: known.get(each.type, st.nothing()) for each in fields(Fix) if each.type in known},
    match=st.sampled_from(Match),
    status=st.sampled_from(Status),
)
advisories = st.builds(
    Advisory,
    ref=names,
    cves=st.lists(names, max_size=3).map(tuple),
    title=text,
    severity=st.sampled_from(Severity),
    published=st.none() | instants,
    url=text,
    fixes=st.lists(fixes, max_size=4).map(tuple),
    kind=st.sampled_from(Kind),
    aliases=st.lists(names, max_size=3).map(tuple),
)
scores = st.none() | st.floats(0, 10) | st.integers(0, 1)
notes = st.builds(
    FlawNote,
    cve=names,
    kev=st.booleans(),
    kev_added=st.none() | st.dates(),
    kev_due=st.none() | st.dates(),
    kev_ransomware=st.none() | st.booleans(),
    kev_name=text,
    kev_action=text,
    epss=scores,
    epss_percentile=scores,
    cvss=scores,
    cvss_vector=text,
    cvss_source=text,
    cwes=st.lists(names, max_size=3).map(tuple),
    ssvc_exploitation=text,
    ssvc_automatable=text,
    ssvc_impact=text,
    rejected=st.booleans(),
)
offers = st.builds(
    Offer,
    **{each.name: text for each in fields(Offer) if each.name != "phased"},
    phased=st.integers(0, 100),
)
support = st.builds(
    Support, platform=text, package=text, level=text, until=st.none() | st.dates(), note=text
)


@given(advisories | notes | offers | support)
def test_a_line_says_all_of_a_value_and_is_the_only_one_that_does(value):
    written = lines.line(value)

    assert b"\n" not in written
    assert lines.value_of(written) == value
    assert lines.line(lines.value_of(written)) == written


@given(
    st.lists(advisories, unique_by=lambda each: each.ref),
    st.lists(notes, unique_by=lambda n: n.cve),
)
def test_a_document_gives_back_what_was_put_in(some_advisories, some_notes):
    values = sorted([*some_advisories, *some_notes], key=lines.place)
    file = io.BytesIO()

    size = lines.pack(values, file)
    file.seek(0)

    assert list(lines.unpack(file, size, "a")) == values


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"is":"advisory"}', "ref"),
        (b'{"is":"advisory","ref":""}', "length"),
        (b'{"is":"advisory","ref":"%s"}' % (b"x" * 201), "length"),
        (b'{"is":"advisory","ref":"A","colour":"red"}', "colour"),
        (b'{"is":"advisory","ref":"A","title":""}', "as patchmgr writes it"),
        (b'{"is":"advisory","ref":"A" }', "as patchmgr writes it"),
        (b'{"ref":"A","is":"advisory"}', "as patchmgr writes it"),
        (b'{"is":"advisory","ref":"A","ref":"B"}', "as patchmgr writes it"),
        (b'{"is":"advisory","ref":"A","title":"a\\u0000"}', "NUL"),
        (b'{"is":"advisory","ref":"A","title":"\\ud800"}', "."),
        (b'{"is":"advisory","ref":"A","severity":9}', "9"),
        (b'{"is":"advisory","ref":"A","published":"2026-03-02T09:30:00"}', "timezone"),
        (b'{"is":"advisory","ref":"A","published":"2026-03-02T09:30:00+02:00"}', "writes it"),
        (b'{"is":"advisory","ref":"A","fixes":[{"platform":"p","package":"q"}]}', "match"),
        (b'{"is":"note","cve":"C","epss":1}', "as patchmgr writes it"),
        (b'{"is":"note","cve":"C","epss":1e999}', "."),
        (b'{"is":"opinion","ref":"A"}', "opinion"),
        (b'["advisory"]', "object"),
        (b"[" * 100_000, "."),
        (b"\xff", "."),
        (b"", "."),
    ],
)
def test_a_line_of_another_hand_is_refused_with_its_place(line, why):
    document = zstandard.compress(b'{"is":"advisory","ref":"0"}\n' + line + b"\n")

    with pytest.raises(InputError, match=rf"^b\.zip: debian: line 2: .*{why}"):
        list(lines.unpack(io.BytesIO(document), 29 + len(line), "b.zip: debian"))


def test_a_backslash_before_a_u_is_no_nul():
    value = Advisory("A", title="\\u0000")

    assert lines.value_of(lines.line(value)) == value


@pytest.mark.parametrize("order", [("B", "A"), ("A", "A")])
def test_values_out_of_order_or_said_twice_are_refused(order):
    file = io.BytesIO()
    size = lines.pack([Advisory(ref) for ref in order], file)
    file.seek(0)

    with pytest.raises(InputError, match="line 2: 'A' stands at the wrong place, or twice"):
        list(lines.unpack(file, size, "a"))


@pytest.mark.parametrize(
    ("body", "size", "why"),
    [
        (zstandard.compress(b"\n" * (1 << 26)), 5, "unpacks to more than the 5 bytes"),
        (zstandard.compress(b'{"is":"advisory","ref":"A"}\n'), 99, "cut off, 71 bytes"),
        (zstandard.compress(b'{"is":"advisory","ref":"A"}'), 27, "cut off"),
        (zstandard.compress(b'{"is":"advisory","ref":"A"}\n')[:-3], 28, "cut off"),
        (zstandard.compress(b'{"is":"advisory","ref":"A"}\n') + b"x", 28, "after its end|damaged"),
        (zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(window_log=27)
        ).compress(b"x" * 100_000_000), 5, "damaged"),
        (b"not packed", 28, "damaged"),
    ],
)  # fmt: skip
def test_unpacking_is_bounded_and_whole(body, size, why):
    with pytest.raises(InputError, match=f"^a: .*({why})"):
        list(lines.unpack(io.BytesIO(body), size, "a"))


def test_no_document_is_written_that_would_not_be_read(monkeypatch):
    monkeypatch.setattr(lines, "MAX_UNPACKED", 100)

    with pytest.raises(ConflictError, match="which no reader takes"):
        lines.pack([Advisory("A", title="x" * 200)], io.BytesIO())


# The whole bundle.


def made(content=None, **changes):
    """Return a bundle of ``content``, its parts' fields or the manifest's changed."""
    documents, parts = io.BytesIO(), []
    for name, values in (content or CONTENT).items():
        packed = writing.document(values, documents)
        told = {
            "revision": DIGEST,
            "made_at": NOW,
            "as_of": NOW,
            "source": "",
            "sha256": packed.sha256,
            "size": packed.size,
            "unpacked": packed.unpacked,
            "counts": packed.counts,
        }
        parts.append(manifest.Part(name, **(told | changes)))
    signed = manifest.encode(manifest.Manifest(manifest.FORMAT, NOW, tuple(parts), KEY))
    documents.seek(0)
    file = io.BytesIO()
    members = [(part.file, part.size) for part in parts]
    writing.bundle(file, signed, b"s" * 64, documents, members)
    return file.getvalue()


def read(body):
    """Return the signed bytes of a bundle, its signature, and everything in it."""
    bundle = Bundle(io.BytesIO(body), "b.zip")
    found = bundle.checked()
    return bundle.signed, bundle.signature, {p.name: list(bundle.values(p)) for p in found.feeds}


def test_a_bundle_gives_back_what_was_put_in():
    assert read(made())[2] == CONTENT


def test_any_zip_program_can_open_it():
    with zipfile.ZipFile(io.BytesIO(made())) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [
            "manifest.json",
            "manifest.json.sig",
            "debian.jsonl.zst",
            "kev.jsonl.zst",
        ]
        packed = opened.read("kev.jsonl.zst")
    document = zstandard.ZstdDecompressor().stream_reader(packed).read()
    assert document == b'{"is":"note","cve":"CVE-2026-1","kev":true,"kev_added":"2026-03-01"}\n'


def test_no_byte_can_change_unseen():
    whole = made()
    signed, signature, _ = read(whole)

    for at in range(len(whole)):
        for flip in (0x01, 0x80):
            body = bytearray(whole)
            body[at] ^= flip
            try:
                found = read(bytes(body))
            except InputError as error:
                assert str(error).startswith("b.zip")  # noqa: PT017 -- not raising is no failure
            else:
                # What the caller holds against the key: of these, it would not be the signature.
                assert (found[0], found[1]) != (signed, signature)


def test_no_byte_can_go_missing_or_be_added():
    whole = made()

    for length in range(len(whole)):
        with pytest.raises(InputError, match=r"^b\.zip"):
            read(whole[:length])
    for more in (b"\0", b"PK\x03\x04", whole):
        with pytest.raises(InputError, match=r"^b\.zip"):
            read(whole + more)
        with pytest.raises(InputError, match=r"^b\.zip"):
            read(more + whole)


MEMBERS = ("manifest.json", "manifest.json.sig", "debian.jsonl.zst", "kev.jsonl.zst")
WITHOUT = [MEMBERS[:number] + MEMBERS[number + 1 :] for number in range(4)]
DOUBLED = [(*MEMBERS[:number], MEMBERS[number], *MEMBERS[number:]) for number in range(4)]
MORE = [(*MEMBERS, "nvd.jsonl.zst"), (*MEMBERS, "../../etc/passwd"), ("a", *MEMBERS)]
TURNED = [MEMBERS[::-1], (*MEMBERS[:2], *MEMBERS[:1:-1])]


@pytest.mark.parametrize("members", WITHOUT + DOUBLED + MORE + TURNED)
def test_members_are_those_of_the_manifest_in_their_order(members):
    with zipfile.ZipFile(io.BytesIO(made())) as opened:
        held = {name: opened.read(name) for name in opened.namelist()}
    file = io.BytesIO()
    writer = container.Writer(file)
    for name in members:
        content = held.get(name, b"x")
        writer.add(name, io.BytesIO(content), len(content))
    writer.close()

    with pytest.raises(InputError, match=r"^b\.zip"):
        read(file.getvalue())


@pytest.mark.parametrize(
    "name", ["kev.jsonl", "KEV.JSONL.ZST", "../kev.jsonl.zst", "ssvc.jsonl.zst"]
)
def test_a_renamed_member_is_refused(name):
    with zipfile.ZipFile(io.BytesIO(made())) as opened:
        held = [(each, opened.read(each)) for each in opened.namelist()]
    file = io.BytesIO()
    writer = container.Writer(file)
    for each, content in held:
        writer.add(name if each.startswith("kev") else each, io.BytesIO(content), len(content))
    writer.close()

    with pytest.raises(InputError, match=r"where 'kev\.jsonl\.zst' must be"):
        read(file.getvalue())


def test_a_zip_of_another_program_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made())) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED)

    with pytest.raises(InputError, match="its header is not as patchmgr writes it"):
        read(file.getvalue())


def test_a_member_that_claims_to_be_huge_is_refused_unread():
    body = bytearray(made())
    struct.pack_into("<2I", body, 18, 0xFFFF_FFFF, 0xFFFF_FFFF)

    with pytest.raises(InputError, match=r"manifest\.json: larger than 4194304 bytes"):
        read(bytes(body))


def test_a_document_that_unpacks_to_too_much_is_refused_unread():
    with pytest.raises(InputError, match="unpacks to more than 1024 MiB"):
        read(made(unpacked=1 << 40))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": "1" * 64}, "not the document that was signed"),
        ({"size": 1}, "."),
        ({"unpacked": 1}, "unpacks to more than the 1 bytes"),
        ({"as_of": datetime(2026, 3, 2)}, "timezone"),  # noqa: DTZ001 -- that it has none
        ({"counts": {"advisory": -1}}, "counts"),
        ({"revision": "x"}, "revision"),
        ({"made_at": "soon"}, "made_at"),
    ],
)
def test_a_manifest_that_is_none_is_refused(changes, why):
    with pytest.raises(InputError, match=rf"^b\.zip: .*{why}"):
        read(made(**changes))


@pytest.mark.parametrize("name", ["../debian", "Debian", "", "a/b", "a" * 65])
def test_a_feed_cannot_be_called_as_a_path_is(name):
    with pytest.raises(InputError, match="manifest"):
        read(made({name: []}))


def test_a_newer_form_is_named():
    body = msgspec.json.decode(manifest.encode(manifest.Manifest(manifest.FORMAT, NOW, (), KEY)))
    body["format"] = "patchmgr feed bundle 2"

    with pytest.raises(InputError, match="of the form 'patchmgr feed bundle 2'; this patchmgr"):
        manifest.signer(msgspec.json.encode(body), "b.zip")


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"PK\x05\x06" + b"\0" * 18, b"\x1f\x8b" + b"\0" * 99]
)
def test_what_is_no_bundle_is_refused(body):
    with pytest.raises(InputError, match=r"^b\.zip: "):
        read(body)


@given(st.data())
def test_a_bundle_whose_bytes_were_mixed_is_refused(data):
    whole = made()
    at = data.draw(st.integers(0, len(whole)))
    piece = data.draw(st.binary(max_size=12))
    body = whole[:at] + piece + whole[data.draw(st.integers(at, len(whole))) :]
    signed, signature, content = read(whole)

    try:
        found = read(body)
    except InputError:
        return
    assert found[:2] != (signed, signature) or found == (signed, signature, content)
