"""What many requests want at once is made once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from web.shared import Shared


def test_one_makes_a_value_while_the_others_wait_for_it():
    shared, made, go_on = Shared(4), [], Event()
    all_here = Barrier(9)

    def make(_):
        go_on.wait(10)
        made.append("once")
        return "value"

    def ask(key):
        all_here.wait(10)
        return shared.get(key, lambda _: True, make)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, "key") for _ in range(8)]
        all_here.wait(10)
        go_on.set()

        assert {one.result() for one in asked} == {"value"}
    assert made == ["once"]


def test_what_is_good_no_longer_is_made_of_what_it_was():
    shared = Shared(4)

    assert shared.get("key", lambda _: True, lambda known: (known, 1)) == (None, 1)
    assert shared.get("key", lambda _: True, lambda known: (known, 2)) == (None, 1)
    assert shared.get("key", lambda _: False, lambda known: (known, 3)) == ((None, 1), 3)


def test_what_could_not_be_made_is_tried_again():
    shared = Shared(4)

    def fail(_):
        raise LookupError

    with pytest.raises(LookupError):
        shared.get("key", lambda _: True, fail)

    assert shared.get("key", lambda _: True, lambda _: "value") == "value"


def test_only_so_many_are_kept_and_those_that_are_wanted():
    shared, made = Shared(2), []

    def ask(key):
        return shared.get(key, lambda _: True, lambda _: made.append(key) or key)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert ask(key) == key
    assert made == ["a", "b", "c", "b"]
