"""Which host a machine is: a table of everything that can happen to one, and to two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.identity import (
    Clash,
    Consent,
    Identity,
    Kind,
    Known,
    New,
    Same,
    normal,
    recognise,
)

M9 = "9" * 31 + "a"
P9 = "4c4c4544-0042-3510-8052-b4c04f4d3339"
M1, M2, M3 = ("1" * 31 + end for end in "abc")
P1, P2 = ("4c4c4544-0042-3510-8052-b4c04f4d333" + end for end in "12")
B1, B2, B3 = (f"7d3f2a10-0000-4000-8000-00000000000{end}" for end in "123")

WEB = Known(1, "web", "web", "", M1, P1, B1)
DB = Known(2, "db", "db", "", M2, P2, B2)
FROM_CSV = Known(3, "files.example", external_id="i-0abc")
GONE = Known(4, "old", "old", "", M3, "", "", is_retired=True)
FLEET = (WEB, DB, FROM_CSV, GONE)


def says(hostname="web", machine_id=M1, product_uuid=P1, boot_id=B1):
    return Identity(hostname, machine_id, product_uuid, boot_id)


def told(decision):
    """Return a decision in short: the host, and what changed or why it clashes."""
    match decision:
        case Same(host_id, hostname, changes):
            return "same", host_id, hostname, *changes
        case Clash(kind, host_id, _):
            return "clash", kind.value, host_id
        case New(hostname):
            return "new", hostname


SPEAKING = {  # what happened -> (what the machine says with the token of web, what comes of it)
    "nothing": (says(), ("same", 1, "web")),
    "a reboot": (says(boot_id=B3), ("same", 1, "web", "rebooted")),
    "a new name": (says("www"), ("same", 1, "www", "renamed")),
    "a new name, and a reboot": (
        says("www", boot_id=B3),
        ("same", 1, "www", "renamed", "rebooted"),
    ),
    "the name in capitals": (says("WEB"), ("same", 1, "web")),
    "a reinstall that kept the token": (
        says(machine_id=M3),
        ("same", 1, "web", "reinstalled"),
    ),
    "other hardware": (says(product_uuid=P9), ("same", 1, "web", "moved")),
    "it no longer says its ids": (
        says(machine_id="", product_uuid="", boot_id=""),
        ("same", 1, "web"),
    ),
    "a copied image, renamed": (
        says("web-copy", product_uuid=P9, boot_id=B3),
        ("clash", "cloned", 1),
    ),
    "its token on another machine": (
        says("other", M9, P9, B3),
        ("clash", "other_machine", 1),
    ),
    "its token on another machine of that name": (
        says(machine_id=M9, product_uuid=P9, boot_id=B3),
        ("clash", "other_machine", 1),
    ),
    "its token on another machine, hardware unknown": (
        says("other", M9, "", B3),
        ("clash", "other_machine", 1),
    ),
    "a reinstall under another name that kept the token": (
        says("www", M9),
        ("same", 1, "www", "renamed", "reinstalled"),
    ),
    "the machine-id of another host": (says(machine_id=M2), ("clash", "cloned", 2)),
    "the name of another host": (says("db"), ("clash", "name_taken", 1)),
    "the name of another host, in capitals": (says("DB"), ("clash", "name_taken", 1)),
    "the name of a retired host": (says("old"), ("same", 1, "old", "renamed")),
}


@pytest.mark.parametrize("happened", SPEAKING)
def test_a_machine_with_a_token_is_its_host_unless_it_cannot_be(happened):
    said, expected = SPEAKING[happened]

    assert told(recognise(said, FLEET, token_of=1)) == expected


ARRIVING = {  # what happened -> (what a machine says that has no token, what comes of it)
    "a new machine": (says("new", M9, "", B3), ("new", "new")),
    "a known one enrols again": (says(), ("same", 1, "web")),
    "a known one, renamed": (says("www"), ("same", 1, "www", "renamed")),
    "renamed, its hardware unknown, in the same boot": (
        says("www", product_uuid=""),
        ("same", 1, "www", "renamed"),
    ),
    "renamed, or cloned: nothing tells": (
        says("www", product_uuid="", boot_id=B3),
        ("clash", "cloned", 1),
    ),
    "a cloned image": (
        says("web-2", product_uuid=P9, boot_id=B3),
        ("clash", "cloned", 1),
    ),
    "a cloned image that kept the name": (
        says(product_uuid=P9, boot_id=B3),
        ("clash", "cloned", 1),
    ),
    "reinstalled": (
        says(machine_id=M9, boot_id=B3),
        ("same", 1, "web", "reinstalled", "rebooted"),
    ),
    "reinstalled under another name": (
        says("www", M9, boot_id=B3),
        ("clash", "same_hardware", 1),
    ),
    "another machine under a known name": (
        says("web", M9, P9, B3),
        ("clash", "same_name", 1),
    ),
    "another machine under a known name, hardware unknown": (
        says("web", M9, "", B3),
        ("clash", "same_name", 1),
    ),
    "renamed to a known name": (says("db"), ("clash", "name_taken", 1)),
    "a name that came by a file": (
        says("files.example", M9, "", B3),
        ("same", 3, "files.example", "joined"),
    ),
    "a name that came by a file, in capitals": (
        says("FILES.example", M9, "", B3),
        ("same", 3, "files.example", "joined"),
    ),
    "a machine that says only its name": (says("web", "", "", ""), ("same", 1, "web")),
    "a retired machine is back": (says("old", M3, "", ""), ("same", 4, "old", "returned")),
    "another machine under a retired one's name": (
        says("old", M9, "", ""),
        ("new", "old"),
    ),
}


@pytest.mark.parametrize("happened", ARRIVING)
def test_a_machine_without_a_token_is_known_by_its_ids_then_by_its_name(happened):
    said, expected = ARRIVING[happened]

    assert told(recognise(said, FLEET)) == expected


@pytest.mark.parametrize(
    "external_id", [M1, P1.upper(), f"{M1[:8]}-{M1[8:12]}-{M1[12:16]}-{M1[16:20]}-{M1[20:]}"]
)
def test_a_host_filed_under_an_id_of_the_machine_is_that_host_and_keeps_its_name(external_id):
    filed = Known(7, "web.example", external_id=external_id)

    assert told(recognise(says("web"), (filed,))) == ("same", 7, "web.example", "joined")


def test_what_a_file_calls_a_host_does_not_make_its_machine_renamed():
    renamed_by_file = Known(1, "web.example", "web", "", M1, P1, B1)

    assert told(recognise(says("web"), (renamed_by_file,), token_of=1)) == (
        "same",
        1,
        "web.example",
    )


@pytest.mark.parametrize(
    ("before", "says_now"),
    [
        (says(boot_id=B2), says(boot_id=B2)),
        (says(product_uuid=P2, boot_id=""), says(product_uuid=P2, boot_id="")),
        (says(machine_id=M3, boot_id=""), says(machine_id=M3, boot_id="")),
    ],
    ids=["boot id", "product UUID", "machine-id"],
)
@pytest.mark.parametrize("token_of", [1, None])
def test_two_machines_that_report_in_turn_are_noticed(before, says_now, token_of):
    twice = Known(1, "web", "web", "", M1, P1, B1, past=(before, says()))
    if token_of is None and says_now.boot_id == "":
        token_of = 1  # without one, another id than the known one is a clash of its own

    decision = recognise(says_now, (twice,), token_of=token_of)

    assert told(decision) == ("clash", "alternating", 1)


def test_a_machine_that_reboots_for_ever_is_one():
    boots = [f"7d3f2a10-0000-4000-8000-0000000000{n:02}" for n in range(20)]
    for n, boot in enumerate(boots[1:], start=1):
        past = tuple(says(boot_id=each) for each in boots[:n])
        host = Known(1, "web", "web", "", M1, P1, boots[n - 1], past=past)

        assert told(recognise(says(boot_id=boot), (host,), token_of=1))[:2] == ("same", 1)


def test_two_hosts_with_one_machine_id_are_told_apart_by_their_names():
    accepted = Known(5, "web-2", "web-2", "", M1, P2, B2)

    assert told(recognise(says(), (WEB, accepted)))[:2] == ("same", 1)
    assert told(recognise(says("web-2", product_uuid=P2, boot_id=B2), (WEB, accepted)))[:2] == (
        "same",
        5,
    )
    assert told(recognise(says("web-3", product_uuid=P9), (WEB, accepted))) == (
        "clash",
        "cloned",
        1,
    )


def test_a_person_can_say_that_it_is_the_same():
    other = says("web", M9, P9, B3)

    assert told(recognise(other, FLEET)) == ("clash", "same_name", 1)
    assert told(recognise(other, FLEET, consent=Consent(same=1))) == (
        *("same", 1, "web"),
        *("reinstalled", "moved", "rebooted"),
    )


def test_a_taken_name_is_left_to_its_owner_even_so():
    assert told(recognise(says("db"), FLEET, consent=Consent(same=1))) == ("same", 1, "web")


def test_a_person_can_say_that_it_is_a_new_one_and_name_it():
    clone = says("web", M1, P9, B3)

    assert recognise(clone, FLEET, consent=Consent(new_name="web-2")) == New("web-2")
    assert recognise(says("www", M1, "", B3), FLEET, consent=Consent()) == New("www")


def test_a_token_speaks_for_its_host_whatever_a_person_said_of_new_ones():
    clone = says("web-2", M1, P9, B3)

    assert (
        told(recognise(clone, FLEET, token_of=1, consent=Consent(new_name="web-2")))[0] == "clash"
    )


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("machine_id", "1" * 31 + "A\n", M1),
        ("machine_id", "uninitialized", ""),
        ("machine_id", "0" * 32, ""),
        ("machine_id", "too short", ""),
        ("product_uuid", P1.upper(), P1),
        ("product_uuid", "Not Settable", ""),
        ("product_uuid", "00000000-0000-0000-0000-000000000000", ""),
        ("product_uuid", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", ""),
        ("product_uuid", "03000200-0400-0500-0006-000700080009", ""),
        ("boot_id", B1.upper(), B1),
        ("boot_id", "", ""),
        ("hostname", "web.example.", "web.example"),
    ],
)
def test_ids_that_many_machines_have_alike_say_nothing(field, given, kept):
    said = normal(Identity(**({"hostname": "web"} | {field: given})))

    assert getattr(said, field) == kept


IDS = st.sampled_from(["", M1, M2, M3])
SAID = st.builds(
    Identity,
    st.sampled_from(["web", "db", "old", "new", "files.example"]),
    IDS,
    st.sampled_from(["", P1, P2]),
    st.sampled_from(["", B1, B2, B3]),
)


@given(SAID, st.sampled_from([None, 1, 2]), st.permutations(FLEET))
def test_no_two_machines_become_one(said, token_of, fleet):
    """A machine never becomes a host of which two ids are another machine's and none its own."""
    decision = recognise(said, fleet, token_of=token_of)

    if isinstance(decision, Same):
        (host,) = [each for each in fleet if each.host_id == decision.host_id]
        differing = [
            name
            for name in ("machine_id", "product_uuid")
            if getattr(host, name)
            and getattr(said, name)
            and getattr(host, name) != getattr(said, name)
        ]
        assert len(differing) < 2 or token_of == host.host_id
        taken = [e.hostname for e in fleet if e is not host and not e.is_retired]
        assert decision.hostname not in taken
    if token_of is not None and isinstance(decision, Same):
        assert decision.host_id == token_of
    if isinstance(decision, Clash):
        assert isinstance(decision.kind, Kind)
        assert decision.why


@given(SAID, st.permutations(FLEET))
def test_the_order_of_the_hosts_does_not_decide_who_it_is(said, fleet):
    assert told(recognise(said, fleet))[:2] == told(recognise(said, FLEET))[:2]
