"""Module streams: what the version of a build tells of its stream, and what it does not."""

import pytest

from patchmgr.domain.modules import (
    Catalogue,
    build_of,
    is_modular,
    same_stream,
    streams_of_builds,
)

NODE_14 = "1:14.18.2-2.module_el8.5.0+2618+8d46dafd"
NODE_12 = "1:12.22.5-1.module_el8.4.0+2521+c668cc9f"
NODES = ("nodejs:10", "nodejs:12", "nodejs:14")


@pytest.mark.parametrize(
    ("version", "build"),
    [
        (NODE_14, "module_el8.5.0+2618+8d46dafd"),
        ("1-1.module+el8.9.0+1234+abcd.8", "module+el8.9.0+1234+abcd"),
        ("1-1.module_el8.4.0+2396+b2b60bb5.alma", "module_el8.4.0+2396+b2b60bb5"),
        ("1-1.el8", ""),
    ],
)
def test_a_build_of_a_module_says_which_build_it_is(version, build):
    assert build_of(version) == build
    assert is_modular(version) is bool(build)


@pytest.mark.parametrize(
    ("installed", "fixed", "module", "rivals", "same"),
    [
        ("1:14.11.0-1.module_el8+1+aa", NODE_14, "nodejs:14", NODES, True),
        (NODE_12, NODE_14, "nodejs:14", NODES, False),
        ("1:13.1.0-1.module_el8+1+aa", NODE_14, "nodejs:14", NODES, None),
        (NODE_12, NODE_14, "", NODES, None),
        ("2.0-1.module_el8+1+aa", "2.1-1.module_el8+2+bb", "nodejs:14", NODES, None),
        # Whatever its versions: virt has one stream, and its companion is built with it.
        ("4.5-1.module_el8+1+aa", "8.0-1.module_el8+2+bb", "virt:rhel", ("virt:rhel",), True),
        (
            "4.5-1.module_el8+1+aa",
            "8.0-1.module_el8+2+bb",
            "virt-devel:rhel",
            ("virt:rhel", "virt-devel:rhel"),
            True,
        ),
        # podman 4.0 came in the rolling stream as well.
        (
            "2:4.0.2-1.module_el8+1+aa",
            "2:4.0.2-6.module_el8+2+bb",
            "container-tools:4.0",
            ("container-tools:4.0", "container-tools:rhel8"),
            None,
        ),
        # A module of its own, and the same package in another's stream.
        (
            "1.7044-5.module_el8+1+aa",
            "1.7044-6.module_el8+2+bb",
            "perl-App-cpanminus:1.7044",
            ("perl-App-cpanminus:1.7044", "perl:5.32"),
            None,
        ),
        # rexml 3.3.6 only looks like a version of ruby 3.3.
        (
            "3.2.6-2.module_el8+1+aa",
            "3.3.6-3.module_el8+2+bb",
            "ruby:3.3",
            ("ruby:3.1", "ruby:3.3"),
            None,
        ),
        ("x-1.module_el8+1+aa", NODE_14, "nodejs:14", NODES, None),
        (NODE_14, "x-1.module_el8+1+aa", "nodejs:14", NODES, None),
        (NODE_14, "2.1-1.module_el8+2+bb", "nodejs:14", NODES, None),
    ],
)
def test_a_version_tells_its_stream_only_where_streams_are_told_by_version(
    installed, fixed, module, rivals, same
):
    assert same_stream(installed, fixed, module, rivals) is same


@pytest.mark.parametrize(
    ("built_for", "same"),
    [
        ({"nodejs:14"}, True),
        ({"nodejs:12"}, False),
        ({"nodejs:12", "nodejs:14"}, None),
    ],
)
def test_the_build_tells_more_than_the_version(built_for, same):
    version = "23-3.module_el8.4.0+2522+3bd42762"

    assert same_stream(version, version, "nodejs:14", NODES, built_for) is same


def test_a_build_is_of_the_stream_that_is_named_for_all_its_packages():
    ours, other = "module_el8.5.0+1+aa", "module_el8.5.0+2+bb"

    found = streams_of_builds(
        [
            ("ruby", f"2.5-1.{ours}", "ruby:2.5"),
            ("ruby", f"2.6-1.{other}", "ruby:2.6"),
            # An advisory for 2.6 lists both builds of what is the same in both.
            ("rubygem-abrt", f"0.3-4.{ours}", "ruby:2.6"),
            ("rubygem-abrt", f"0.3-4.{ours}", "ruby:2.5"),
            ("rubygem-abrt", f"0.3-4.{other}", "ruby:2.6"),
            ("varnish", "6.0-1.module_el8.5.0+3+cc", ""),
            ("expat", "2.2-1.el8", ""),
        ]
    )

    assert found == {ours: {"ruby:2.5"}, other: {"ruby:2.6"}}


def test_statements_tell_the_streams_of_packages_and_of_builds():
    told = Catalogue.of(
        [
            ("nodejs", NODE_12, "nodejs:12"),
            ("nodejs", NODE_14, "nodejs:14"),
            ("npm", NODE_14, "nodejs:14"),
        ]
    )

    assert told == Catalogue(
        streams={"nodejs": {"nodejs:12", "nodejs:14"}, "npm": {"nodejs:14"}},
        builds={build_of(NODE_12): {"nodejs:12"}, build_of(NODE_14): {"nodejs:14"}},
    )
