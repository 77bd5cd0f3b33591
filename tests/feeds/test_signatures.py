"""Repositories that their vendors sign: rpm-md's beside the index, apk's within it."""

import gzip
import hashlib
import io
import tarfile

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pysequoia import SignatureMode, Tsk, sign

from patchmgr.errors import FeedGoneError, FeedMalformedError
from patchmgr.feeds.crawl import Document, crawl
from patchmgr.feeds.keys import Keys
from patchmgr.feeds.vendors.archive import Archive
from patchmgr.feeds.vendors.updateinfo import UpdateInfo

VENDOR, STRANGER = Tsk.generate("vendor@vendor.example"), Tsk.generate("s@stranger.example")
KEYS = Keys(repositories={"rocky": {"rocky.asc": bytes(VENDOR.extract_certificate())}})
HOME = "https://m.example/9/"
INDEX = f"{HOME}repodata/repomd.xml"
START = f"{INDEX}#platform=rocky:9&suite=baseos"

PRIMARY = (
    b'<metadata xmlns="http://linux.duke.edu/metadata/common"><package type="rpm"><name>vim</name>'
    b'<arch>x86_64</arch><version epoch="0" ver="9" rel="1.el9"/></package></metadata>'
)
UPDATES = (
    b'<updates><update type="security"><id>RLSA-1</id><pkglist><collection><package name="vim"'
    b' version="9" release="1.el9" epoch="0" arch="x86_64"/></collection></pkglist></update>'
    b"</updates>"
)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def listed(kind, body, digest="sha256"):
    checksum = f'<checksum type="{digest}">{sha256(body)}</checksum>' if digest else ""
    return f'<data type="{kind}">{checksum}<location href="repodata/{kind}.xml"/></data>'


def repomd(*data):
    text = "".join(data or (listed("primary", PRIMARY), listed("updateinfo", UPDATES)))
    return f"<repomd>{text}</repomd>".encode()


def beside(body, key=VENDOR):
    return sign(key.signer(), body, mode=SignatureMode.DETACHED)


def served(index, signature=None, **others):
    """Return what fetches from a server of the repository."""
    files = {
        INDEX: index,
        f"{HOME}repodata/primary.xml": PRIMARY,
        f"{HOME}repodata/updateinfo.xml": UPDATES,
        **others,
    }
    if signature is not None:
        files[f"{INDEX}.asc"] = signature

    def fetch(url, *, unless_known):
        bare = url.partition("#")[0]
        if bare not in files:
            raise FeedGoneError(f"{url}: the server says 404 Not Found")
        return Document(files[bare])

    return fetch


FEEDS = (Archive(KEYS), UpdateInfo(KEYS))


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_what_an_index_that_the_vendor_signed_leads_to_is_taken(feed):
    harvest = crawl(feed, [START], served(repomd(), beside(repomd())))

    assert not harvest.is_empty
    assert not harvest.set_aside
    assert harvest.verified == (INDEX,)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
@pytest.mark.parametrize(
    ("index", "signature", "reason"),
    [
        (repomd(), None, "404"),
        (repomd(), beside(repomd(), STRANGER), "its signature does not hold"),
        (repomd() + b"<!-- more -->", beside(repomd()), "its signature does not hold"),
        (repomd(), b"-----BEGIN PGP SIGNATURE-----\n\nnone", "is no OpenPGP signature"),
        (repomd(), b"", "is no OpenPGP signature"),
        (repomd(), b"<html>sign in</html>", "is no OpenPGP signature"),
    ],
)
def test_what_the_vendor_has_not_signed_is_refused(feed, index, signature, reason):
    with pytest.raises((FeedMalformedError, FeedGoneError), match=reason):
        crawl(feed, [START], served(index, signature))


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
@pytest.mark.parametrize("digest", ["", "sha"])
def test_a_signed_index_must_say_what_it_leads_to(feed, digest):
    index = repomd(listed("primary", PRIMARY, digest), listed("updateinfo", UPDATES, digest))

    with pytest.raises(FeedMalformedError, match="is signed, but gives no digest of"):
        crawl(feed, [START], served(index, beside(index)))


def test_another_document_than_the_signed_one_is_refused():
    index = repomd(listed("primary", b"another"))

    with pytest.raises(FeedMalformedError, match="is not the document that its index speaks of"):
        crawl(Archive(KEYS), [START], served(index, beside(index)))


@pytest.mark.parametrize("url", [f"{HOME}repodata/{name}.xml" for name in ("primary", "x")])
@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_document_that_no_index_names_is_refused(feed, url):
    body = PRIMARY if feed.name == "archive" else UPDATES

    with pytest.raises(FeedMalformedError, match="no signed index names it"):
        feed.read(f"{url}#platform=rocky:9", body)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_repository_of_a_vendor_whose_keys_nobody_has_set_is_taken_from_its_server(feed):
    other = START.replace("rocky", "almalinux")

    harvest = crawl(feed, [other], served(repomd()))

    assert (harvest.is_empty, harvest.verified) == (False, ())


def test_a_file_that_an_administrator_hands_over_needs_no_signature():
    page = Archive(KEYS).read("/srv/primary.xml", PRIMARY, "rocky:9")

    assert [each.name for each in page.offers] == ["vim"]


def test_a_platform_that_is_given_for_an_address_asks_for_its_keys_as_well():
    with pytest.raises(FeedGoneError, match="404"):
        crawl(Archive(KEYS), [INDEX], served(repomd()), platform="rocky:9")


# apk: two gzip streams, the first with a signature of the second.

APK = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
NAME = "devel@vendor.example-1.rsa.pub"
APK_URL = "https://m.example/v3.20/main/x86_64/APKINDEX.tar.gz#platform=alpine:3.20"
LINES = b"P:curl\nV:8.1-r0\nA:x86_64\n\n"


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def archive(end=True, **members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            made.addfile(info, io.BytesIO(body))
        length = made.offset
    whole = out.getvalue()
    return gzip.compress(whole if end else whole[:length], mtime=0)


CONTENT = archive(APKINDEX=LINES)


def apk(key=APK, name=NAME, kind="RSA", algorithm=None, content=CONTENT, signed=None):
    algorithm = algorithm or hashes.SHA1()  # what apk-tools signs with
    signature = key.sign(signed or content, padding.PKCS1v15(), algorithm)
    return archive(end=False, **{f".SIGN.{kind}.{name}": signature}) + content


def apk_archive(**keys):
    return Archive(Keys(repositories={"alpine": keys or {NAME: pem(APK)}}))


def index(body, feed=None):
    return crawl(feed or apk_archive(), [APK_URL], lambda *_, **__: Document(body))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("RSA", hashes.SHA1()), ("RSA256", hashes.SHA256()), ("RSA512", hashes.SHA512())],
)
def test_an_index_that_carries_its_vendors_signature_is_taken(kind, algorithm):
    harvest = index(apk(kind=kind, algorithm=algorithm))

    assert [(each.name, each.version) for each in harvest.offers] == [("curl", "8.1-r0")]
    assert harvest.verified == (APK_URL.partition("#")[0],)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CONTENT, "is not signed"),
        (apk(OTHER), "its signature does not hold: none of devel@"),
        (apk(name="other.rsa.pub"), "none of other.rsa.pub is a key that is set"),
        (apk(kind="RSA256"), "its signature does not hold"),  # of SHA-1
        (apk(signed=b"something else"), "its signature does not hold"),
        (apk() + archive(APKINDEX=LINES), "its signature does not hold"),
        (apk(content=b"")[: -len(CONTENT) or None], "is not signed"),
        (LINES, "damaged"),
        (apk()[:40], "is not signed"),
        (b"", "is not signed"),
        (gzip.compress(b"\0" * (1 << 20), mtime=0) + CONTENT, "is not signed"),
    ],
)
def test_an_index_that_its_vendor_has_not_signed_is_refused(body, reason):
    with pytest.raises(FeedMalformedError, match=reason):
        index(body)


def test_one_of_several_signatures_is_enough():
    rest = archive(
        end=False, **{f".SIGN.RSA.{NAME}": APK.sign(CONTENT, padding.PKCS1v15(), hashes.SHA1())}
    )
    first = gzip.decompress(apk(OTHER, "old.rsa.pub", content=CONTENT)[: -len(CONTENT)])
    both = gzip.compress(first + gzip.decompress(rest), mtime=0) + CONTENT

    assert index(both).verified


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"no key", "cannot be read"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is none of RSA"),
    ],
)
def test_a_key_that_is_none_is_said_so(key, reason):
    with pytest.raises(FeedMalformedError, match=reason):
        index(apk(), apk_archive(**{NAME: key}))


def test_without_keys_of_its_vendor_an_index_is_taken_from_its_server():
    harvest = index(CONTENT, Archive())

    assert (len(harvest.offers), harvest.verified) == (1, ())
