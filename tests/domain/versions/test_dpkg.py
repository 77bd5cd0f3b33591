"""dpkg's versions, with the real dpkg as judge."""

import random
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchmgr.domain.versions import compare, dpkg
from patchmgr.errors import VersionError


def is_version(text):
    try:
        dpkg.key(text)
    except VersionError:
        return False
    return True


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg as the judge")

PAIRS = 3000
VERSION = r"([0-2]:)?[0-9][0-9ab.+~-]{0,6}(-[0-9ab.+~]{1,4})?"
VERSIONS = st.one_of(
    st.from_regex(VERSION, fullmatch=True),
    st.from_regex(r"[0-9]{1,70}[a-zA-Z0-9.+~:-]{0,20}", fullmatch=True),
).filter(is_version)

# One process judges all pairs: "lt" first, and "eq" only where that does not hold.
JUDGE = """
while IFS=$(printf '\\t') read -r a b; do
  if dpkg --compare-versions "$a" lt "$b"; then echo '<'
  elif dpkg --compare-versions "$a" eq "$b"; then echo '='
  else echo '>'; fi
done
"""
VALIDATE = """
while IFS= read -r v; do
  if dpkg --validate-version "$v" >/dev/null 2>&1; then echo yes; else echo no; fi
done
"""


def judged(script, lines):
    done = subprocess.run(
        ["/bin/sh", "-c", script], input="\n".join(lines) + "\n", stdout=-1, text=True, check=True
    )
    return done.stdout.splitlines()


def generated(rng):
    """A version of the kind that is easily compared wrongly."""
    epoch = rng.choice(["", "", "", "0:", "1:", "01:", "12:"])
    upstream = str(rng.randrange(3)) + "".join(
        rng.choice(["0", "00", "1", "9", "10", ".", "+", "~", "-", "a", "Z", "rc", "~~"])
        for _ in range(rng.randrange(5))
    )
    revision = rng.choice(["", "", "-0", "-1", "-00", "-a", "-1+b1", "-1~deb12u1", "-1+deb12u10"])
    return (epoch + upstream.rstrip("-") + revision) or "0"


@needs_dpkg
def test_order_is_that_of_dpkg():
    rng = random.Random(20261123)  # the same pairs in every run
    pairs = [(generated(rng), generated(rng)) for _ in range(PAIRS)]

    verdicts = judged(JUDGE, [f"{a}\t{b}" for a, b in pairs])

    ours = [compare("dpkg", a, b) for a, b in pairs]
    assert [
        (pair, theirs, mine)
        for pair, theirs, mine in zip(pairs, verdicts, ours, strict=True)
        if theirs != mine
    ] == []
    assert set(verdicts) == {"<", "=", ">"}


ODD = [
    " 1.0", "1.0 ", "\t1", "1 0", ":1", "a:1", "+1:2", " -0:2", " -1:2", " --0:1", " -:2", "1+:2",
    "2147483647:1", "2147483648:1", "00000000001:1", "99999999999999999999:1", "0x1:1", "1:",
    "1:2:3", "1: 2", "1 :2", "1-", "1-1-", "1--1", "1:-1", "1-1:2", "1:1-1:2", "a", "v1", "~1",
    "1:a", "1~", "1-+", "1_0", "1-1_0", "1/2", "é", "1é", "1.0+b1-~", "٣", "1.٣",
]  # fmt: skip


@needs_dpkg
def test_what_is_a_version_is_what_dpkg_validates():
    rng = random.Random(7)
    alphabet = ["0", "1", "9", "a", ".", "-", "+", "~", ":", "_", " "]
    texts = ODD + [
        rng.choice("01a :") + "".join(rng.choice(alphabet) for _ in range(rng.randrange(7)))
        for _ in range(1500)
    ]

    verdicts = judged(VALIDATE, texts)

    assert [
        text
        for text, verdict in zip(texts, verdicts, strict=True)
        if is_version(text) != (verdict == "yes")
    ] == []


@pytest.mark.parametrize("text", ["", " ", "-1", "\n", "1\n", "1\x00", "1" * 5000 + ":1"])
def test_what_cannot_be_handed_to_dpkg_is_refused_too(text):
    with pytest.raises(VersionError, match=re.escape(f"{text.strip(' ')!r} is not a dpkg version")):
        dpkg.key(text)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_order_is_total(a, b, c):
    first, second, third = sorted([a, b, c], key=dpkg.key)

    assert compare("dpkg", first, second) in "<="
    assert compare("dpkg", second, third) in "<="
    assert compare("dpkg", first, third) in "<="
    assert compare("dpkg", a, b) == {"<": ">", "=": "=", ">": "<"}[compare("dpkg", b, a)]


@given(VERSIONS)
def test_a_tilde_makes_older_and_a_suffix_newer(version):
    assert compare("dpkg", version + "~", version) == "<"
    assert compare("dpkg", version + "+x", version) == ">"


@pytest.mark.parametrize("digits", [1, 9, 57, 58, 59, 300, 5000])
def test_numbers_of_any_length_are_numbers(digits):
    nines, power = "9" * digits, "1" + "0" * digits

    assert compare("dpkg", nines, power) == "<"
    assert compare("dpkg", nines, nines + "a") == "<"
    assert compare("dpkg", nines + "~", nines) == "<"
    assert compare("dpkg", "0" * digits + "1", "1") == "="
