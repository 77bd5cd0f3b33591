"""Windows for hosts that name none: a rule gives one to all that have certain fields.

A host's own naming wins. Of several rules that fit, the windows are united.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from patchmgr.domain.rings import FIELDS, HostFacts
from patchmgr.domain.windows import SEPARATOR, canonical
from patchmgr.errors import InputError


@dataclass(frozen=True, slots=True)
class WindowRule:
    """Hosts with all of ``fields`` have ``window``. Raises `InputError`."""

    window: str
    fields: Mapping[str, str] = field(hash=False)  # of `FIELDS`; tag: one that the host has

    def __post_init__(self) -> None:
        if not self.fields:
            raise InputError("say which hosts: by environment, site, tag or another field")
        for name, value in self.fields.items():
            if name not in FIELDS:
                raise InputError({name: f"is no field of a host; there are {', '.join(FIELDS)}"})
            if not (0 < len(value) <= 200 and value.isprintable()):
                raise InputError({name: "1 to 200 printable characters"})

    def fits(self, host: HostFacts) -> bool:
        return all(host.has(name, value) for name, value in self.fields.items())

    @property
    def words(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in sorted(self.fields.items()))


def window_of(host: HostFacts, rules: Iterable[WindowRule]) -> str:
    """Return the names of the windows that ``host`` has; "" when it has none."""
    if host.window:
        return host.window
    return canonical(SEPARATOR.join(rule.window for rule in rules if rule.fits(host)))
