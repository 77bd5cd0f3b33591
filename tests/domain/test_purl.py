"""Package URLs, as their specification has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.purl import Purl, parse


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12",
            Purl(
                "deb",
                ("debian", "libssl3"),
                "3.0.15-1~deb12u1",
                {"arch": "amd64", "distro": "debian-12"},
            ),
        ),
        ("pkg:npm/%40angular/core@17.0.0", Purl("npm", ("@angular", "core"), "17.0.0", {})),
        ("pkg:npm/@angular/core@17.0.0", Purl("npm", ("@angular", "core"), "17.0.0", {})),
        ("pkg:npm/@angular/core", Purl("npm", ("@angular", "core"), "", {})),
        ("PKG:PyPI/Django@1.11.1#sub/path", Purl("pypi", ("Django",), "1.11.1", {})),
        ("pkg://gem/rails@7", Purl("gem", ("rails",), "7", {})),
        ("pkg:deb/d/x@2%3A8-1?Arch=&epoch=1", Purl("deb", ("d", "x"), "2:8-1", {"epoch": "1"})),
        ("pkg:deb/d/x@1+b1", Purl("deb", ("d", "x"), "1+b1", {})),
        (
            "pkg:golang/github.com/a/b@v1.2.3",
            Purl("golang", ("github.com", "a", "b"), "v1.2.3", {}),
        ),
    ],
)
def test_a_package_url_is_read(text, found):
    assert parse(text) == found


def test_its_last_name_is_the_package_s():
    found = parse("pkg:golang/github.com/a/b")

    assert (found.namespace, found.name) == ("github.com/a", "b")


@pytest.mark.parametrize(
    "text",
    ["", "pkg:", "pkg:deb", "pkg:deb/", "http://a/b@1", "cpe:2.3:a:b", "pkg:deb/x%ZZ@1"],
)
def test_other_texts_are_none(text):
    assert parse(text) is None


@given(st.text())
def test_whatever_it_is_it_is_read_or_not(text):
    for each in (text, f"pkg:{text}", f"pkg:deb/{text}"):
        found = parse(each)
        assert found is None or (found.kind and all(found.names))
