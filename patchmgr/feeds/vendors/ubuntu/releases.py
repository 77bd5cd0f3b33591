"""Where Canonical's documents speak of, by the codename of a release."""

from patchmgr.domain.debian_releases import UBUNTU
from patchmgr.feeds.formats.ubuntu_pro import service_of


def located(distro: str) -> tuple[str, str] | None:
    """Return platform and channel of ``jammy`` or ``esm-apps/jammy``; None for another release."""
    part, _, codename = distro.rpartition("/")
    if codename not in UBUNTU:
        return None
    return UBUNTU[codename], service_of(part)
