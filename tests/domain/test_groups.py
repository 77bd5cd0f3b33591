"""Groups: which hosts belong together, how many may be down, and in which order they begin."""

import pytest

from patchmgr.domain.groups import (
    GroupSettings,
    checked,
    from_json,
    gather,
    memberships,
    stages_from_json,
)
from patchmgr.domain.rings import HostFacts, RingSettings
from patchmgr.domain.unmatched import names, unmatched
from patchmgr.errors import InputError

HOSTS = [
    HostFacts(1, "db1", site="fra", tags=("group=db", "rack=r1")),
    HostFacts(2, "db2", site="fra", tags=("group=db", "rack=r2")),
    HostFacts(3, "web1", site="ber", tags=("rack=r1",)),
    HostFacts(4, "web2"),
]


def keys(*settings):
    return {group.key: group.members for group in gather(HOSTS, settings)}


def test_a_group_is_named_by_hosts_by_fields_or_by_its_tag():
    assert keys(GroupSettings("pair", hosts=("WEB1", "db1"))) == {"pair": (1, 3)}
    assert keys(GroupSettings("f", fields={"site": "fra"})) == {"f": (1, 2)}
    assert keys(GroupSettings("db")) == {"db": (1, 2)}
    assert keys(GroupSettings("none", hosts=("gone",))) == {}


def test_groups_by_long_tags_stay_apart_under_names_that_can_be_kept():
    long = [HostFacts(n, f"h{n}", tags=(f"rack={'x' * 4000}{n}",)) for n in (1, 2)]

    found = [group.key for group in gather(long, [GroupSettings("racks", by="rack")])]

    assert len(set(found)) == 2
    assert {len(key) for key in found} == {200}


def test_what_rings_and_groups_name_and_nobody_is_called_is_said():
    rings = [RingSettings("canary", hosts=("db1", "bd2", "OFF")), RingSettings("rest")]
    groups = [
        GroupSettings("pair", hosts=("db1", "db3"), order=("db4", "db1")),
        GroupSettings("racks", by="rack", order=("hostname",)),
        GroupSettings("cages", by="cage"),
    ]
    known = {*(host.hostname for host in HOSTS), "off"}  # a host that the plan does not have

    assert names(rings, groups) == {"db1", "bd2", "off", "db3", "db4"}
    assert unmatched(rings, groups, known=known, hosts=HOSTS) == (
        "ring canary: there is no host bd2",
        "group pair: there is no host db3",
        "group pair: there is no host db4",
        "group cages: no host of the plan is in it",
    )


def test_by_makes_a_group_for_each_value():
    assert keys(GroupSettings("racks", by="rack")) == {"rack=r1": (1, 3), "rack=r2": (2,)}
    assert keys(GroupSettings("sites", by="site")) == {"site=ber": (3,), "site=fra": (1, 2)}


def test_what_a_named_group_has_no_by_takes_again():
    (db,) = gather(HOSTS, [GroupSettings("g", by="group", max_unavailable=9), GroupSettings("db")])

    assert (db.key, db.limit) == ("db", 1)


@pytest.mark.parametrize(
    ("share", "size", "limit"), [(25, 12, 3), (25, 11, 2), (10, 3, 1), (100, 7, 7)]
)
def test_a_share_is_rounded_down_and_at_least_one(share, size, limit):
    assert GroupSettings("a", max_unavailable_pct=share).limit(size) == limit


def test_the_order_is_a_list_a_column_or_the_hostname():
    assert keys(GroupSettings("a", fields={"site": "fra"}, order=("db2",))) == {"a": (2, 1)}
    assert keys(GroupSettings("a", hosts=("db1", "web1"), order=("site",))) == {"a": (3, 1)}
    assert keys(GroupSettings("a", hosts=("web1", "db1"), order=("hostname",))) == {"a": (1, 3)}


def test_a_host_follows_the_one_before_it_in_its_own_ring():
    groups = gather(HOSTS, [GroupSettings("a", hosts=("db1", "db2", "web1"), order=("hostname",))])
    found = memberships(groups, {1: 0, 2: 1, 3: 0})

    assert {host: one.after for host, one in found.items()} == {1: (), 2: (), 3: (1,)}
    assert found[1].groups == ("a",)


@pytest.mark.parametrize(
    "document",
    [
        {"by": "rack", "max_unavailable": "25%", "order": "hostname", "name": "rack"},
        {"name": "a", "hosts": ["x", "y"]},
        {"name": "a", "fields": {"site": "fra"}, "max_unavailable": 3, "order": ["x", "y"]},
    ],
)
def test_the_canonical_form_comes_back_as_it_was(document):
    settings = from_json(document)

    assert from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "a table of settings"),
        ({}, "needs a name or by"),
        ({"name": "a", "size": 3}, "no such group setting"),
        ({"name": "a", "max_unavailable": 0}, "1 or more"),
        ({"name": "a", "max_unavailable": "0%"}, "a share such as"),
        ({"name": "a", "max_unavailable": True}, "a share such as"),
        ({"name": "a", "by": "site", "hosts": ["x"]}, "one of them"),
        ({"name": "a", "fields": {"colour": "red"}}, "'colour' is none of"),
        ({"name": "a", "hosts": "x"}, "a list of hostnames"),
        ({"name": " a"}, "no spaces around"),
    ],
)
def test_what_cannot_be_a_group_is_refused_with_the_setting(document, said):
    with pytest.raises(InputError, match=said):
        from_json(document)


def test_two_groups_cannot_have_one_name():
    with pytest.raises(InputError, match="two groups are called 'a'"):
        checked([GroupSettings("a"), GroupSettings("a")])


def test_a_rings_file_can_have_groups():
    rings, groups = stages_from_json({"rings": [{"name": "all"}], "groups": [{"by": "site"}]})

    assert ([ring.name for ring in rings], [group.by for group in groups]) == (["all"], ["site"])
    assert stages_from_json([{"name": "all"}])[1] == ()
