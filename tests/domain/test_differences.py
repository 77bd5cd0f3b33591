"""How two sides differ: packages by what can replace what, facts as far as both are known."""

from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.differences import Difference, FactChange, PackageChange, difference, packages
from patchmgr.domain.packages import Package


def deb(name, version, arch="amd64"):
    return Package("dpkg", name, version, arch)


def test_a_package_is_changed_added_or_removed():
    found = difference(
        [deb("openssl", "3.0.9-1"), deb("bash", "5.2-2"), deb("old", "1")],
        [deb("openssl", "3.0.15-1"), deb("bash", "5.2-2"), deb("new", "1")],
    )

    assert found.of("changed") == (
        PackageChange("dpkg", "openssl", "amd64", ("3.0.9-1",), ("3.0.15-1",), "newer"),
    )
    assert [each.name for each in found.of("added")] == ["new"]
    assert [each.name for each in found.of("removed")] == ["old"]


def test_a_downgrade_is_told_by_the_managers_own_order():
    (change,) = packages([deb("a", "1.10")], [deb("a", "1.9")])

    assert change.direction == "older"


def test_architectures_of_one_name_are_different_packages():
    found = packages([deb("libc6", "1"), deb("libc6", "1", "i386")], [deb("libc6", "1")])

    assert [(each.arch, each.kind) for each in found] == [("i386", "removed")]


def test_of_several_versions_only_those_that_one_side_has_are_told():
    kernels = [Package("rpm", "kernel", f"5.14-{n}", "x86_64") for n in (1, 2, 10)]

    (change,) = packages(kernels[:2], kernels[1:])

    assert (change.before, change.after, change.direction) == (("5.14-1",), ("5.14-10",), "newer")


def test_versions_that_cannot_be_read_are_shown_without_a_direction():
    (change,) = packages([deb("a", "not a version")], [deb("a", "1")])
    (other,) = packages([Package("nobody", "a", "1")], [Package("nobody", "a", "2")])

    assert (change.kind, change.direction) == ("changed", "")
    assert other.direction == ""


def test_a_fact_that_one_side_does_not_know_is_not_compared():
    found = difference([], [], {"site": "graz", "ring": "a"}, {"site": "vienna"})

    assert found.facts == (FactChange("site", "graz", "vienna"),)
    assert not difference([], [], None, {"site": "graz"})


installed = st.frozensets(
    st.builds(deb, st.sampled_from("abc"), st.sampled_from("1234"), st.sampled_from(("x", "y")))
)


@given(installed, installed)
def test_a_difference_says_exactly_what_only_one_side_has(before, after):
    found = packages(before, after)

    def versions(side):
        return {(c.name, c.arch, v) for c in found for v in getattr(c, side)}

    def plain(side):
        return {(p.name, p.arch, p.version) for p in side}

    assert versions("before") == plain(before - after)
    assert versions("after") == plain(after - before)
    assert all(change.before or change.after for change in found)
    assert bool(Difference(found)) == (before != after)


@given(installed, installed)
def test_the_other_way_round_it_is_the_same_turned(before, after):
    turned = {"newer": "older", "older": "newer", "": ""}

    there, back = packages(before, after), packages(after, before)

    assert [(c.before, c.after, turned[c.direction]) for c in there] == [
        (c.after, c.before, c.direction) for c in back
    ]
