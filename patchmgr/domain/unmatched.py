"""What rings and groups ask for that is not there: a name with a slip in it guards nobody."""

from collections.abc import Collection, Iterator, Sequence

from patchmgr.domain.groups import GroupSettings, is_column, key_of
from patchmgr.domain.rings import HostFacts, RingSettings


def names(rings: Sequence[RingSettings], groups: Sequence[GroupSettings]) -> set[str]:
    """Return the hosts that rings and groups name, as `unmatched` asks for them."""
    return {name.lower() for _, found in _named(rings, groups) for name in found}


def unmatched(
    rings: Sequence[RingSettings],
    groups: Sequence[GroupSettings],
    *,
    known: Collection[str],
    hosts: Sequence[HostFacts],
) -> tuple[str, ...]:
    """Return, for people, which names are no host's and which groups have none of ``hosts``.

    ``known`` are the names of the fleet's hosts, in lower case; a plan need not have all of them.
    """
    lines = [
        f"{where}: there is no host {name}"
        for where, found in _named(rings, groups)
        for name in sorted({one for one in found if one.lower() not in known})
    ]
    empty = [one for one in groups if not any(key_of(one, host) for host in hosts)]
    return (*lines, *(f"group {one.name}: no host of the plan is in it" for one in empty))


def _named(
    rings: Sequence[RingSettings], groups: Sequence[GroupSettings]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for ring in rings:
        yield f"ring {ring.name}", ring.hosts
    for group in groups:
        order = () if is_column(group.order) else group.order
        yield f"group {group.name}", (*group.hosts, *order)
