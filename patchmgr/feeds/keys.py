"""The keys that what vendors sign is verified with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from patchmgr.feeds.formats.labels import labels_of

APK_KEY = ".pub"  # how the names of apk's keys end; the others are of OpenPGP


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that are trusted."""

    archives: tuple[bytes, ...] = ()  # OpenPGP keyrings, of apt's archives
    # ID of os-release -> name and content of keys: of its rpm-md or apk repositories.
    repositories: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    def of_rpm(self, url: str, platform: str) -> tuple[bytes, ...]:
        """Return the keyrings of which one must have signed the rpm-md repository at ``url``."""
        known = self._of(url, platform)
        return tuple(key for name, key in sorted(known.items()) if not name.endswith(APK_KEY))

    def of_apk(self, url: str, platform: str) -> dict[str, bytes]:
        """Return the keys, by name, of which one must have signed the apk index at ``url``."""
        known = self._of(url, platform)
        return {name: key for name, key in known.items() if name.endswith(APK_KEY)}

    def _of(self, url: str, platform: str) -> Mapping[str, bytes]:
        """Return none for a file that an administrator hands over: he is taken at his word."""
        if "://" not in url:
            return {}
        where = labels_of(url).get("platform") or platform
        return self.repositories.get(where.partition(":")[0], {})


NO_KEYS = Keys()
