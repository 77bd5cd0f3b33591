"""Amazon's bulletins: a catalogue of advisories without a word on versions."""

import pytest

from patchmgr.domain.advisories import Severity
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds import FEEDS

AMAZON = FEEDS["amazon"]
URL = "https://bulletins.example/alas.rss"


def read(*items):
    text = "".join(f"<item>{item}</item>" for item in items)
    return AMAZON.read(URL, f"<rss><channel>{text}</channel></rss>".encode())


def item(title="ALAS-2018-939 (critical): kernel", folder="AL2/"):
    link = f"https://alas.aws.amazon.com/{folder}{title.partition(' ')[0]}.html"
    return f"<title>{title}</title><link>{link}</link>"


@pytest.mark.parametrize(
    ("said", "folder", "ref"),
    [
        ("ALAS-2018-939", "", "ALAS-2018-939"),
        ("ALAS-2018-939", "AL2/", "ALAS2-2018-939"),
        ("ALAS2-2018-939", "AL2/", "ALAS2-2018-939"),
        ("ALAS-2023-126", "AL2023/", "ALAS2023-2023-126"),
        ("ALAS2023-2023-126", "AL2023/", "ALAS2023-2023-126"),
        ("ALASKERNEL-5.4-2022-001", "AL2/", "ALAS2KERNEL-5.4-2022-001"),
    ],
)
def test_an_id_says_of_which_amazon_linux_it_is(said, folder, ref):
    (advisory,) = read(item(f"{said} (medium): x", folder)).advisories

    assert advisory.ref == ref


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("Important", Severity.HIGH),
        ("medium", Severity.MEDIUM),
        ("low", Severity.LOW),
        ("odd", Severity.UNKNOWN),
    ],
)
def test_every_word_for_severity_has_one_of_ours(word, severity):
    assert read(item(f"ALAS-2018-1 ({word}): x")).advisories[0].severity is severity


def test_nothing_is_claimed_without_a_version():
    (advisory,) = read(item()).advisories

    assert advisory.fixes == ()


def test_an_odd_item_is_set_aside_and_a_document_of_them_is_refused():
    odd = "<title>maintenance</title>"

    page = read(*(item(f"ALAS-2018-{n} (low): x") for n in range(4)), odd)

    assert (len(page.advisories), page.set_aside[0].where) == (4, "item 5")
    with pytest.raises(FeedMalformedError, match="2 of 3 items are not advisories"):
        read(item(), odd, odd)
    with pytest.raises(FeedMalformedError, match="a document without any item"):
        read()


def test_only_the_bulletins_of_the_fleet_are_fetched():
    fleet = frozenset({"amzn:2", "amzn:2018.03", "rhel:9"})

    assert AMAZON.addresses(fleet) == (
        "https://alas.aws.amazon.com/alas.rss",
        "https://alas.aws.amazon.com/AL2/alas.rss",
    )
