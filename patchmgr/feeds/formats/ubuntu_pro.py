"""Which service of Ubuntu Pro a host must have for a fix, by the ways in which Canonical says it.

Source: Ubuntu's CVE tracker for the parts of its archive (``esm-infra/xenial`` in package URLs, a
notice's ``pocket``) and for the words of ``availability`` ("Infra-only"); the Pro client for the
names of its services.
"""

import re
from urllib.parse import parse_qs

INFRA, APPS = "esm-infra", "esm-apps"
_SERVICES = {  # part of the archive -> service
    "": "",
    "security": "",
    "updates": "",
    "esm": INFRA,
    "realtime": "realtime-kernel",
    "ros-esm": "ros",
}
_ESM = re.compile(r"[+~]esm[0-9]")


def service_of(part: str) -> str:
    """Return the service that opens ``part`` of the archive; "" for what is open to all.

    Most are named as the part is: ``esm-apps``, ``esm-infra-legacy``, ``fips-updates``.
    """
    return _SERVICES.get(part, part)


def half_of_esm(purl: str, availability: str) -> str:
    """Return which half of ESM has a fix that is only known to need Pro.

    A package URL says it for sure. Without one, ``availability`` names the half that is sold alone;
    Pro brings both, so that the other is no guess.
    """
    distro = parse_qs(purl.partition("?")[2]).get("distro", [""])[0]
    service = service_of(distro.rpartition("/")[0])
    if service:
        return service
    return APPS if availability and "Infra-only" not in availability else INFRA


def is_esm(version: str) -> bool:
    """Return whether ``version`` was built for ESM, which marks its versions."""
    return _ESM.search(version) is not None
