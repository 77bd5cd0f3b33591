"""Operating systems as people and consoles write them: "Red Hat Enterprise Linux 8.6".

What os-release says of the same systems is what advisories speak of: ``rhel`` and ``8.6``. A name
that does not say both, or contradicts its version, is none: nothing is guessed.

Sources: ``ID`` and ``VERSION_ID`` of each distribution's os-release(5); the builds of Windows in
Microsoft's release information.
"""

import re
from typing import NamedTuple

LONGEST = 200  # characters of a name that is looked at


class System(NamedTuple):
    os_id: str
    os_release: str


_SERVER_BUILDS = {
    "2012": "6.2.9200",
    "2012 r2": "6.3.9600",
    "2016": "10.0.14393",
    "2019": "10.0.17763",
    "2022": "10.0.20348",
    "2025": "10.0.26100",
}
_CLIENT_BUILDS = {
    ("10", "1507"): "10.0.10240",
    ("10", "1607"): "10.0.14393",
    ("10", "1809"): "10.0.17763",
    ("10", "1909"): "10.0.18363",
    ("10", "2004"): "10.0.19041",
    ("10", "20h2"): "10.0.19042",
    ("10", "21h1"): "10.0.19043",
    ("10", "21h2"): "10.0.19044",
    ("10", "22h2"): "10.0.19045",
    ("11", "21h2"): "10.0.22000",
    ("11", "22h2"): "10.0.22621",
    ("11", "23h2"): "10.0.22631",
    ("11", "24h2"): "10.0.26100",
    ("11", "25h2"): "10.0.26200",
}
# Names as they are after `_plain`, longest first; the shape is how VERSION_ID is made of a version.
_NAMES: tuple[tuple[str, str, str], ...] = (
    ("red hat enterprise linux server", "rhel", "minor"),
    ("red hat enterprise linux workstation", "rhel", "minor"),
    ("red hat enterprise linux", "rhel", "minor"),
    ("red hat enterprise", "rhel", "minor"),
    ("redhat enterprise linux", "rhel", "minor"),
    ("linux red hat", "rhel", "minor"),
    ("red hat", "rhel", "minor"),
    ("redhat", "rhel", "minor"),
    ("rhel server", "rhel", "minor"),
    ("rhel", "rhel", "minor"),
    ("centos stream", "centos", "major"),
    ("centos linux", "centos", "major"),
    ("centos", "centos", "major"),
    ("rocky linux", "rocky", "minor"),
    ("rocky", "rocky", "minor"),
    ("almalinux", "almalinux", "minor"),
    ("alma linux", "almalinux", "minor"),
    ("oracle linux server", "ol", "minor"),
    ("oracle linux", "ol", "minor"),
    ("oraclelinux", "ol", "minor"),
    ("fedora linux", "fedora", "major"),
    ("fedora", "fedora", "major"),
    ("amazon linux ami", "amzn", "year.month"),
    ("amazon linux", "amzn", "major"),
    ("suse linux enterprise server", "sles", "pack"),
    ("linux suse", "sles", "pack"),
    ("sles", "sles", "pack"),
    ("opensuse leap", "opensuse-leap", "two"),
    ("debian gnu/linux", "debian", "major"),
    ("linux debian", "debian", "major"),
    ("debian linux", "debian", "major"),
    ("debian", "debian", "major"),
    ("linux ubuntu", "ubuntu", "two"),
    ("ubuntu linux", "ubuntu", "two"),
    ("ubuntu server", "ubuntu", "two"),
    ("ubuntu", "ubuntu", "two"),
    ("alpine linux", "alpine", "all"),
    ("alpine", "alpine", "all"),
)
_SHAPES = {
    "major": re.compile(r"(\d{1,4})(?:\.\d+)*"),
    "minor": re.compile(r"(\d{1,2}(?:\.\d{1,2})?)(?:\.\d+)*"),
    "two": re.compile(r"(\d{1,2}\.\d{1,2})(?:\.\d+)*"),
    "year.month": re.compile(r"(\d{4}\.\d{2})(?:\.\d+)*"),
    "all": re.compile(r"(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)"),
}
_PACK = re.compile(r"(\d{2})(?:(?:\.| ?-? ?sp ?| service pack )(\d))?")
_BUILD = re.compile(r"((?:6\.[1-4]|10\.0)\.\d{4,5})(?:\.\d{1,6})?")
_WINDOWS = re.compile(r"(?:microsoft )?windows(?: nt)?(?: (server|workstation|client))?\b(.*)")
_SERVER = re.compile(r"(20(?:12 r2|12|16|19|22|25))\b")
_FEATURE = re.compile(r"\b\d\dh[12]\b")  # "2022, 23H2 edition" is a release of its own
_CLIENT = re.compile(r"(1[01])\b(?:.*?(?:version |, |\b)(\d\dh[12]|\d{4})\b)?")
_DECORATION = re.compile(r"\(r\)|\(tm\)|[®™©]|\([^()]*\)|\blts\b|\brelease\b|\bx86_64\b|\b64-bit\b")


def read(name: str, version: str = "") -> System | None:
    """Return what os-release calls the system ``name``; None when that cannot be told.

    ``version`` is what another column says of it: "8.6", "10.0.17763.5576". It must not contradict
    what the name says itself.
    """
    plain, more = _plain(name[:LONGEST]), _plain(version[:LONGEST])
    if (windows := _WINDOWS.fullmatch(plain)) is not None:
        return _windows(windows[2].strip(), more, is_server=windows[1] == "server")
    for begins, os_id, shape in _NAMES:
        if plain == begins or plain.startswith(begins + " "):
            return _linux(os_id, shape, plain[len(begins) :].strip(), more)
    return None


def _plain(text: str) -> str:
    return " ".join(_DECORATION.sub(" ", text.lower()).replace(",", " ").split())


def _linux(os_id: str, shape: str, said: str, version: str) -> System | None:
    # A kernel or a codename in the version column ("jammy") says nothing of the release.
    releases = {text: _release(shape, text) for text in (said, version) if text}
    if said and releases[said] is None:
        return None
    found = [release for release in releases.values() if release is not None]
    if not found:
        return None
    longest = max(found, key=len)
    if any(longest != each and not longest.startswith(each + ".") for each in found):
        return None
    return System(os_id, longest)


def _release(shape: str, text: str) -> str | None:
    text = text.removeprefix("v").removeprefix("version ").strip()
    if shape == "pack":
        pack = _PACK.fullmatch(text)
        return None if pack is None else ".".join(filter(None, pack.groups()))
    found = _SHAPES[shape].fullmatch(text)
    return None if found is None else found[1]


def _windows(said: str, version: str, *, is_server: bool) -> System | None:
    named = None
    if (server := _SERVER.match(said)) is not None:
        named = None if _FEATURE.search(said) else _SERVER_BUILDS[server[1]]
    elif not is_server and (client := _CLIENT.match(said)) is not None:
        of_version = re.fullmatch(r"(?:version )?(\d\dh[12]|\d{4})", version)
        feature = client[2] or (of_version[1] if of_version else "")
        named = _CLIENT_BUILDS.get((client[1], feature))
        if feature and named is None:
            return None
    builds = {
        match[1]
        for text in (said, version)
        for match in [_BUILD.fullmatch(text.rpartition(" ")[2])]
        if match is not None
    }
    if named is not None:
        builds.add(named)
    return System("windows", builds.pop()) if len(builds) == 1 else None
