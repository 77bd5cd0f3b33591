"""The loop that walks a feed, with a feed and a network made of dictionaries."""

import pytest

from patchmgr.domain.advisories import Advisory, Fix, Match, Severity, Status
from patchmgr.errors import FeedGoneError, FeedMalformedError, FeedUnreachableError
from patchmgr.feeds.base import Page, SetAside
from patchmgr.feeds.crawl import Document, crawl


class Pages:
    """A feed whose pages are given."""

    one_by_one = False

    name, title, start, suffixes = "pages", "Pages", ("index",), (".json",)

    def __init__(self, **pages):
        self.pages = pages
        self.read_so_far = []

    def read(self, url, body, platform=""):
        self.read_so_far.append((url, platform))
        if isinstance(self.pages[url], str):
            raise FeedMalformedError(f"{url}: {self.pages[url]}")
        return self.pages[url]

    def check(self, url, body, platform=""):
        return False

    def join(self, advisories):
        return advisories


class Net:
    """Documents by address; those in ``known`` have not changed."""

    def __init__(self, *, known=(), gone=()):
        self.known = known
        self.gone = gone
        self.asked = []

    def __call__(self, url, *, unless_known):
        self.asked.append((url, unless_known))
        if url in self.gone:
            raise FeedGoneError(f"{url}: the server says 404 Not Found")
        if unless_known and url in self.known:
            return None
        return Document(url.encode(), etag=url)


def advisory(ref, *packages, severity=Severity.UNKNOWN):
    fixes = tuple(Fix("debian:12", each, Match.SOURCE, Status.NO_FIX) for each in packages)
    return Advisory(ref, severity=severity, fixes=fixes)


def test_each_page_is_read_once_breadth_first():
    feed = Pages(
        a=Page(follow=("c", "b", "c")), b=Page(follow=("a", "d")), c=Page(), d=Page(follow=("b",))
    )

    crawl(feed, ("a", "b"), Net())

    assert [url for url, _platform in feed.read_so_far] == ["a", "b", "c", "d"]


def test_a_feed_whose_start_has_not_changed_has_not_changed():
    net = Net(known=("a", "b"))

    assert crawl(Pages(), ("a", "b"), net) is None
    assert net.asked == [("a", True), ("b", True)]


def test_once_one_document_has_changed_all_are_read():
    feed = Pages(a=Page((advisory("A"),)), b=Page((advisory("B"),)), c=Page((advisory("C"),)))
    net = Net(known=("a", "c"))

    harvest = crawl(feed, ("a", "b", "c"), net)

    assert net.asked == [("a", True), ("b", True), ("c", False), ("a", False)]
    assert [each.ref for each in harvest.advisories] == ["A", "B", "C"]
    assert set(harvest.documents) == {"a", "b", "c"}


def test_files_do_not_follow_links():
    feed = Pages(a=Page(follow=("https://elsewhere.example/b",)))

    crawl(feed, ("a",), Net(), follow=False, platform="debian:12")

    assert feed.read_so_far == [("a", "debian:12")]


def test_an_advisory_of_several_documents_has_the_statements_of_all():
    feed = Pages(
        a=Page((advisory("A", "x", "y", severity=Severity.LOW),)),
        b=Page((advisory("A", "y", "z", severity=Severity.HIGH),)),
    )

    (merged,) = crawl(feed, ("a", "b"), Net()).advisories

    assert [fix.package for fix in merged.fixes] == ["x", "y", "z"]
    assert merged.severity is Severity.HIGH


def test_what_was_set_aside_and_skipped_is_kept_in_sum():
    aside = SetAside("A", "a", "odd")
    feed = Pages(a=Page(set_aside=(aside,), skipped={"x": 1}), b=Page(skipped={"x": 2, "w": 1}))

    harvest = crawl(feed, ("a", "b"), Net())

    assert harvest.set_aside == (aside,)
    assert harvest.skipped == {"w": 1, "x": 3}


def test_an_error_ends_the_walk():
    def broken(url, *, unless_known):
        raise FeedUnreachableError(url)

    with pytest.raises(FeedUnreachableError, match="a"):
        crawl(Pages(), ("a",), broken)


def test_a_document_that_cannot_be_read_is_set_aside_and_the_rest_is_taken():
    feed = Pages(index=Page((advisory("A-1", "x"),), follow=("bad", "good")), bad="not XML")
    feed.pages["good"] = Page((advisory("A-2", "y"),))

    harvest = crawl(feed, ("index",), Net())

    assert [each.ref for each in harvest.advisories] == ["A-1", "A-2"]
    assert harvest.set_aside == (SetAside("", "bad", "not XML"),)
    assert harvest.is_partial


def test_a_feed_of_which_nothing_can_be_read_has_failed():
    with pytest.raises(FeedMalformedError, match="a: broken"):
        crawl(Pages(a="broken", b="broken too"), ("a", "b"), Net())


def test_what_documents_say_is_joined_when_all_are_read():
    class Joined(Pages):
        def join(self, advisories):
            return tuple(each for each in advisories if each.ref != "A-2")

    feed = Joined(index=Page((advisory("A-1", "x"), advisory("A-2", "y"))))

    assert [each.ref for each in crawl(feed, ("index",), Net()).advisories] == ["A-1"]


def test_of_documents_that_cannot_be_read_only_words_are_kept(monkeypatch):
    monkeypatch.setattr("patchmgr.feeds.crawl.MOST_UNREAD", 2)
    few = Pages(a=Page((advisory("A", "x"),), ("b", "c")), b="not XML\x1b[31m", c="not XML")
    many = Pages(a=Page((advisory("A", "x"),), ("b", "c", "d")), b="no", c="no", d="no")

    harvest = crawl(few, ["a"], Net())
    assert harvest.set_aside == (SetAside("", "b", "not XML?[31m"), SetAside("", "c", "not XML"))
    with pytest.raises(FeedMalformedError, match=r"^d: no; 2 before it could not be read either"):
        crawl(many, ["a"], Net())


def test_a_document_that_an_index_names_and_is_gone_is_set_aside():
    feed = Pages(index=Page((advisory("A-1", "x"),), follow=("gone", "good")))
    feed.pages["good"] = Page((advisory("A-2", "y"),))

    harvest = crawl(feed, ("index",), Net(gone=("gone",)))

    assert [each.ref for each in harvest.advisories] == ["A-1", "A-2"]
    assert harvest.set_aside == (SetAside("", "gone", "the server says 404 Not Found"),)
    assert harvest.is_partial
    assert set(harvest.documents) == {"index", "good"}


def test_a_start_that_is_gone_is_no_feed():
    with pytest.raises(FeedGoneError, match="b: the server says 404"):
        crawl(Pages(a=Page((advisory("A-1"),))), ("a", "b"), Net(gone=("b",)))


def test_what_could_be_read_is_told_as_it_came():
    feed = Pages(
        index=Page(follow=("bad", "good")), bad="not XML", good=Page(advisories=(advisory("A"),))
    )
    told = []

    crawl(feed, ("index",), Net(), keep=lambda url, document: told.append((url, document.body)))

    assert told == [("index", b"index"), ("good", b"good")]


def test_a_platform_more_is_read_whole_though_the_others_have_not_changed():
    feed = Pages(a=Page((advisory("A"),)), b=Page((advisory("B"),)))

    harvest = crawl(feed, ("a", "b"), Net(known=("a",)))

    assert [each.ref for each in harvest.advisories] == ["A", "B"]
