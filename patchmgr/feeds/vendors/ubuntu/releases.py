"""Ubuntu's releases by codename. Source: distro-info-data, ubuntu.csv."""

from patchmgr.feeds.formats.ubuntu_pro import service_of

PLATFORMS = {
    "warty": "ubuntu:4.10",
    "hoary": "ubuntu:5.04",
    "breezy": "ubuntu:5.10",
    "dapper": "ubuntu:6.06",
    "edgy": "ubuntu:6.10",
    "feisty": "ubuntu:7.04",
    "gutsy": "ubuntu:7.10",
    "hardy": "ubuntu:8.04",
    "intrepid": "ubuntu:8.10",
    "jaunty": "ubuntu:9.04",
    "karmic": "ubuntu:9.10",
    "lucid": "ubuntu:10.04",
    "maverick": "ubuntu:10.10",
    "natty": "ubuntu:11.04",
    "oneiric": "ubuntu:11.10",
    "precise": "ubuntu:12.04",
    "quantal": "ubuntu:12.10",
    "raring": "ubuntu:13.04",
    "saucy": "ubuntu:13.10",
    "trusty": "ubuntu:14.04",
    "utopic": "ubuntu:14.10",
    "vivid": "ubuntu:15.04",
    "wily": "ubuntu:15.10",
    "xenial": "ubuntu:16.04",
    "yakkety": "ubuntu:16.10",
    "zesty": "ubuntu:17.04",
    "artful": "ubuntu:17.10",
    "bionic": "ubuntu:18.04",
    "cosmic": "ubuntu:18.10",
    "disco": "ubuntu:19.04",
    "eoan": "ubuntu:19.10",
    "focal": "ubuntu:20.04",
    "groovy": "ubuntu:20.10",
    "hirsute": "ubuntu:21.04",
    "impish": "ubuntu:21.10",
    "jammy": "ubuntu:22.04",
    "kinetic": "ubuntu:22.10",
    "lunar": "ubuntu:23.04",
    "mantic": "ubuntu:23.10",
    "noble": "ubuntu:24.04",
    "oracular": "ubuntu:24.10",
    "plucky": "ubuntu:25.04",
    "questing": "ubuntu:25.10",
    "resolute": "ubuntu:26.04",
}


def located(distro: str) -> tuple[str, str] | None:
    """Return platform and channel of ``jammy`` or ``esm-apps/jammy``; None for another release."""
    part, _, codename = distro.rpartition("/")
    if codename not in PLATFORMS:
        return None
    return PLATFORMS[codename], service_of(part)
