"""Package URLs: how SBOMs and advisories name packages of any kind.

Source: the package-url specification, "how to parse a purl string". Names are left as they are
written; what a type makes of them (lower case, PEP 503) is for who knows the type.

    pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl
    pkg:rpm/redhat/bind@9.8.2-0.68.el6?arch=x86_64&epoch=32
    pkg:npm/%40angular/core@17.0.0
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Purl:
    kind: str  # the specification's "type", in lower case: "deb", "npm"
    names: tuple[str, ...]  # the namespace's parts, then the name
    version: str
    qualifiers: Mapping[str, str]  # the keys are in lower case

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def namespace(self) -> str:
        return "/".join(self.names[:-1])


def parse(text: str) -> Purl | None:
    """Return the package that ``text`` names; None when it is no package URL."""
    scheme, _colon, rest = text.strip().partition(":")
    path, _hash, _subpath = rest.partition("#")
    path, _mark, qualified = path.partition("?")
    path, version = _versioned(path.strip("/"))
    parts = [unquote(part) for part in path.split("/") if part]
    if scheme.lower() != "pkg" or len(parts) < 2 or _NOT_ENCODED.search(path + version):
        return None
    kind, *names = parts
    pairs = (pair.partition("=") for pair in qualified.split("&"))
    qualifiers = {key.lower(): unquote(value) for key, _equals, value in pairs if value}
    return Purl(kind.lower(), tuple(names), unquote(version), qualifiers)


def _versioned(path: str) -> tuple[str, str]:
    """Return path and version; a name that begins with an ``@`` (npm's scopes) is not one."""
    before, at, version = path.rpartition("@")
    if not at or before.endswith("/") or "/" in version:
        return path, ""
    return before, version
