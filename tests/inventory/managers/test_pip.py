"""Reading what pip prints; what is no release is said not to be judged."""

import json

import pytest

from inventory.managers import pip
from patchmgr.domain.packages import Package
from patchmgr.errors import BadFileError

INSPECTED = {
    "version": "1",
    "pip_version": "24.0",
    "installed": [
        {"metadata": {"name": "Jinja2", "version": "3.1.2"}, "installer": "pip"},
        {
            "metadata": {"name": "tool", "version": "0.1"},
            "direct_url": {"url": "file:///srv/tool", "dir_info": {"editable": True}},
        },
        {
            "metadata": {"name": "fork", "version": "2.0"},
            "direct_url": {"url": "https://git.example/fork", "vcs_info": {"vcs": "git"}},
        },
        {
            "metadata": {"name": "wheel", "version": "0.42.0"},
            "direct_url": {"url": "https://files.example/wheel.whl", "archive_info": {}},
        },
    ],
}


def names(text):
    return sorted(f"{each.name} {each.version}" for each in pip.read(text).packages)


def test_names_are_written_as_pep_503_wants_them():
    text = json.dumps([{"name": "Zope.Interface", "version": "6.1"}])

    assert pip.read(text).packages == {Package("pypi", "zope-interface", "6.1")}
    assert pip.read("zope_interface==6.1\n") == pip.read(text)


def test_an_inspection_is_read():
    listing = pip.read(json.dumps(INSPECTED))

    assert names(json.dumps(INSPECTED)) == ["jinja2 3.1.2", "wheel 0.42.0"]
    assert listing.not_judged_why == (
        "tool 0.1: is installed from a working copy, which is no release",
        "fork 2.0: is installed from a working copy, which is no release",
    )


def test_a_frozen_environment_is_read_and_what_is_no_release_is_counted():
    text = (
        "# comment\n"
        "requests==2.31.0\n"
        "odd===2004d\n"
        "local @ file:///srv/local-1.0.whl\n"
        "forked[extra] @ git+https://git.example/forked@0123456\n"
        "-e git+https://git.example/mine@0123456#egg=mine\n"
        "# Editable install with no version control (here==1.0)\n"
        "-e /srv/here\n"
    )

    listing = pip.read(text)

    assert names(text) == ["odd 2004d", "requests 2.31.0"]
    assert listing.not_judged == 4
    assert [each.split(":")[0] for each in listing.not_judged_why] == [
        "local",
        "forked",
        "mine",
        "/srv/here",
    ]


@pytest.mark.parametrize(
    ("header", "judged"),
    [
        ("Package  Version", ["a 1", "b 2"]),
        ("Package  Version Location  Installer", ["a 1", "b 2"]),
        ("Package  Version Editable project location", ["b 2"]),
    ],
)
def test_columns_are_read(header, judged):
    rows = "a        1       /srv/a\nb        2\n" if "o" in header[16:] else "a        1\nb    2\n"

    assert names(f"{header}\n-------- -------\n{rows}") == judged


def test_an_editable_package_of_a_list_is_not_judged():
    entry = {"name": "a", "version": "1", "editable_project_location": "/srv/a"}

    assert pip.read(json.dumps([entry])).not_judged == 1


def test_a_host_may_have_no_python_package_at_all():
    assert pip.read("[]").packages == frozenset()
    assert pip.read("[]").speaks_for == {"pypi"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lists no installed package"),
        ("requests>=2\n", "row 1: 'requests>=2' is no line of pip freeze"),
        ("<html>\n", "is no line of pip freeze"),
        ("a  1\n", "is no line of pip freeze"),
        ("Package Version Latest Type\n- - - -\na 1 2 wheel\n", "is of pip list --outdated"),
        ('[{"name": "a", "version": "1", "latest_version": "2"}]', "is of pip list --outdated"),
        ("{}", "column installed: is missing"),
        ('{"installed": [{}]}', "column installed[0].metadata: is no JSON object"),
        ("[1]", "column [0]: is no JSON object"),
        ('[{"name": "a b", "version": "1"}]', "[0].name: 'a b' is not the name"),
        ('[{"name": "a", "version": "1 2"}]', "[0].version: '1 2' has spaces"),
        ('[{"name": "a"}]', "[0].version: is missing for a"),
        ('[{"name": {}}]', "[0].name: '{}' is no text"),
        ('[{"name": "a", "version": "\\ud800"}]', "is not whole JSON"),
        ("[" * 100_000, "is nested deeper"),
    ],
)
def test_what_is_no_listing_is_said_with_its_place(text, why):
    with pytest.raises(BadFileError) as error:
        pip.read(text)

    assert why in str(error.value)
