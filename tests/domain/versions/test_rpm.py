"""rpm's versions, with the real rpm as judge."""

import random
import re
import string
import subprocess

import pytest

from patchmgr.domain.versions import compare, rpm
from patchmgr.errors import VersionError

PAIRS = 6000
LETTERS = {"-1": "<", "0": "=", "1": ">"}
PARTS = [
    "0", "1", "2", "10", "01", "9" * 70, ".", "..", "_", "+", "~", "~~", "^", "a", "rc", "Z", "git",
    "el9", "é", "%", ".module_el8",
]  # fmt: skip
JUDGE = r"""%%{lua:
for line in io.lines('%s') do
  print(rpm.vercmp(string.match(line, '(.*)\t'), string.match(line, '\t(.*)')) .. '\n')
end}"""
SPEC = """Name: judged
Version: {}
Release: 1
Summary: -
License: -
%description
"""


def generated(rng):
    """A version of the kind that is easily compared wrongly."""
    epoch = rng.choice(["", "", "", "0:", "1:", "01:", "12:", ":"])
    version = "".join(rng.choice(PARTS) for _ in range(rng.randrange(1, 7)))
    release = rng.choice(["", "", "-1", "-0", "-1.el9", "-1.el10", "-1~bpo", "-^", "-01.el9_4"])
    return epoch + version + release


def test_order_is_that_of_rpm(tmp_path):
    rng = random.Random(20261123)  # the same pairs in every run
    pairs = [(generated(rng), generated(rng)) for _ in range(PAIRS)]
    pairs += [(a, a + rng.choice(PARTS)) for a, _ in pairs[: PAIRS // 2]]
    file = tmp_path / "pairs"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in pairs))

    said = subprocess.run(["rpm", "--eval", JUDGE % file], stdout=-1, text=True, check=True).stdout

    verdicts = [LETTERS[word] for word in said.split()]
    assert [
        (a, theirs, b)
        for (a, b), theirs in zip(pairs, verdicts, strict=True)
        if compare("rpm", a, b) != theirs
    ] == []
    assert set(verdicts) == {"<", "=", ">"}


def is_version(text):
    try:
        rpm.key(text)
    except VersionError:
        return False
    return True


def test_a_version_has_the_characters_that_rpm_builds_with(tmp_path):
    spec = tmp_path / "judged.spec"

    def builds_with(sign):
        spec.write_text(SPEC.format(f"1{sign}2".replace("%", "%%")))
        command = ["rpmspec", "--query", spec]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    signs = set(string.punctuation) - set("-:")  # these two are ours: a release, an epoch
    assert {sign for sign in signs if is_version(f"1{sign}2")} == set(filter(builds_with, signs))
    assert not builds_with("-")
    assert not builds_with(":")


@pytest.mark.parametrize(
    "text",
    ["", "1:", "1-", "-1", "1-2-3", "a:1", "1:2:3", "1:-1", "-", "1.0 ", "1/2", "(none):1-1"],
)
def test_what_no_package_can_have_is_refused(text):
    with pytest.raises(VersionError, match=re.escape(f"{text!r} is not a rpm version")):
        rpm.key(text)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.2", "1.2-0"),  # an advisory without a release means every build of the version
        ("1.2-9", "1.2.1"),
        ("9.9-1", "1:0.1-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0^git1-1"),
        ("1.0^git1-1", "1.0.1-1"),
        ("1.0-1.el9", "1.0-1.el9_4"),
        ("1.0-1.el9_9", "1.0-1.el9_10"),
        ("1.0.a-1", "1.0.0-1"),  # numbers are newer than words
        ("1.0.A-1", "1.0.0-1"),
        ("1.0.A-1", "1.0.a-1"),
    ],
)
def test_what_is_newer(older, newer):
    assert compare("rpm", older, newer) == "<"


@pytest.mark.parametrize(
    ("a", "b"), [("1.0-1", "0:1.0-1"), ("1_0-1", "1.0-1"), ("1.é-1", "1.ññ-1"), ("1.0-1", "1.00-1")]
)
def test_what_is_equal(a, b):
    assert compare("rpm", a, b) == "="
