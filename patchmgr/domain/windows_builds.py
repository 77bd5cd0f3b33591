"""Names and builds of Windows as one system: "Windows Server 2019" is ``windows:10.0.17763``.

Source: Microsoft's release information.
"""

import re

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
_BUILD = re.compile(r"((?:6\.[1-4]|10\.0)\.\d{4,5})(?:\.\d{1,6})?")
_NAME = re.compile(r"(?:microsoft )?windows(?: nt)?(?: (server|workstation|client))?\b(.*)")
_SERVER = re.compile(r"(20(?:12 r2|12|16|19|22|25))\b")
_FEATURE = re.compile(r"\b\d\dh[12]\b")  # "2022, 23H2 edition" is a release of its own
_CLIENT = re.compile(r"(1[01])\b(?:.*?(?:version |, |\b)(\d\dh[12]|\d{4})\b)?")


def is_windows(name: str) -> bool:
    """Return whether ``name``, in lower case, is one of Windows."""
    return _NAME.fullmatch(name) is not None


def build(name: str, version: str) -> str | None:
    """Return the build of a system, both in lower case; None when they do not tell one."""
    found = _NAME.fullmatch(name)
    return (
        None if found is None else _build(found[2].strip(), version, is_server=found[1] == "server")
    )


def _build(said: str, version: str, *, is_server: bool) -> str | None:
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
    return builds.pop() if len(builds) == 1 else None
