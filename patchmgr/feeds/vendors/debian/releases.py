"""How long the tracker looks after each of Debian's releases."""

from patchmgr.domain.debian_releases import PLATFORMS

UNSTABLE = "sid"
# Source: distro-info-data, debian.csv: the year in which (long term) support ends.
_LAST_YEAR = {
    "woody": 2006,
    "sarge": 2008,
    "etch": 2010,
    "lenny": 2012,
    "squeeze": 2016,
    "wheezy": 2018,
    "jessie": 2020,
    "stretch": 2022,
    "buster": 2024,
    "bullseye": 2026,
    "bookworm": 2028,
    "trixie": 2030,
}
_NOT_BEGUN = ("duke",)  # has no packages of its own yet


def concerned(year: int) -> tuple[str, ...]:
    """Return the releases beside unstable that the tracker looks after for flaws of ``year``.

    A release that had reached its end by then is not looked into any more: that nothing is said of
    it means nothing.
    """
    return tuple(
        codename
        for codename in PLATFORMS
        if codename not in (UNSTABLE, *_NOT_BEGUN) and year <= _LAST_YEAR.get(codename, year)
    )
