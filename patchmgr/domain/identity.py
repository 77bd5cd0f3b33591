"""Which host a machine is: the same after a rename, a reinstall, a new address; never a guess.

A machine says its name, its machine-id (made when the system was installed), its product UUID (of
the hardware, or of the virtual one) and its boot id. Each can change, and each can be copied, so
what agrees is weighed: where it can be one machine or two, the answer is a `Clash` that a person
resolves, and no two machines are merged.

Source: machine-id(5) on what a clone must do with its machine-id; SMBIOS 7.2.1 on UUIDs that say
nothing.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

LONGEST_NAME = 253
LONGEST_ID = 64
OTHER_HARDWARE = "other hardware, as far as that is known"
ADDRESSES = 64  # of one machine that are read

# What firmware says when its maker gave it no UUID of its own.
_EMPTY_UUIDS = {
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "12345678-1234-5678-1234-567812345678",
    "11111111-2222-3333-4444-555555555555",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "00020003-0004-0005-0006-000700080009",
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_MACHINE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Kind(StrEnum):
    """Why a machine may not be the host that it looks like."""

    CLONED = "cloned"  # the machine-id of a host that has another name and other hardware
    ALTERNATING = "alternating"  # a host's machine says again what it said before its last change
    SAME_NAME = "same_name"  # a known name, another machine
    NAME_TAKEN = "name_taken"  # a known machine, renamed to another host's name
    SAME_HARDWARE = "same_hardware"  # a known product UUID, another name and system
    OTHER_MACHINE = "other_machine"  # a host's token, sent by what has another name and hardware


class Change(StrEnum):
    """What is new about a host's machine."""

    JOINED = "joined"  # it says for the first time who it is
    RENAMED = "renamed"
    REINSTALLED = "reinstalled"
    MOVED = "moved"  # other hardware
    REBOOTED = "rebooted"
    RETURNED = "returned"  # from retirement


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine says of itself; an id is empty when it is not known."""

    hostname: str
    machine_id: str = ""
    product_uuid: str = ""
    boot_id: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def key(self) -> bytes:
        """What a person's word about this machine is tied to: all but what a reboot changes."""
        parts = (self.hostname.lower(), self.machine_id, self.product_uuid)
        return hashlib.sha256("\n".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class Known:
    """A host of the inventory, as far as its identity goes."""

    host_id: int
    hostname: str  # as the inventory calls it
    reported_name: str = ""  # as its machine called itself last; "" when none has
    external_id: str = ""
    machine_id: str = ""
    product_uuid: str = ""
    boot_id: str = ""
    is_retired: bool = False
    past: tuple[Identity, ...] = ()  # what its machine said before, without what a person settled


@dataclass(frozen=True, slots=True)
class Same:
    """The machine is a known host, which is called ``hostname`` from now on."""

    host_id: int
    hostname: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class New:
    """The machine is a host of its own."""

    hostname: str


@dataclass(frozen=True, slots=True)
class Clash:
    """The machine may be the known host or another one: nothing is stored, a person decides."""

    kind: Kind
    host_id: int
    why: str


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said of a machine: that it is a known host, or one of its own."""

    same: int | None = None  # id of the host
    new_name: str = ""  # what the new one is called; "" for what it calls itself


Decision = Same | New | Clash


def normal(said: Identity) -> Identity:
    """Return ``said`` in one spelling, without ids that many machines have alike."""
    machine_id = said.machine_id.strip().lower().replace("-", "")
    product = said.product_uuid.strip().lower()
    boot = said.boot_id.strip().lower()
    has_machine_id = _MACHINE_ID.fullmatch(machine_id) and len(set(machine_id)) > 1
    has_product = (
        _UUID.fullmatch(product)
        and product not in _EMPTY_UUIDS
        and len(set(product.replace("-", ""))) > 1
    )
    return replace(
        said,
        hostname=said.hostname.strip().rstrip("."),
        machine_id=machine_id if has_machine_id else "",
        product_uuid=product if has_product else "",
        boot_id=boot if _UUID.fullmatch(boot) else "",
        addresses=tuple(dict.fromkeys(said.addresses))[:ADDRESSES],
    )


def recognise(
    said: Identity,
    known: Sequence[Known],
    *,
    token_of: int | None = None,
    consent: Consent | None = None,
) -> Decision:
    """Return which of the ``known`` hosts the machine is that says ``said``.

    ``token_of`` is the host whose token it sent, ``consent`` what a person decided about it.
    Without either, what agrees first decides: machine-id or external id, product UUID, hostname.
    """
    hosts = {each.host_id: each for each in known}
    if consent is not None and consent.same in hosts:
        return _same(hosts[consent.same], said, known)
    if token_of is not None and token_of in hosts:
        return _speaking(hosts[token_of], said, known)
    if consent is not None and consent.same is None:
        return New(consent.new_name or said.hostname)
    return _arriving(said, known)


def _speaking(host: Known, said: Identity, known: Sequence[Known]) -> Decision:
    """Decide about a machine that sent the token of ``host``."""
    if (again := _alternates(host, said)) is not None:
        return again
    new = _new_about(host, said)
    if len(new) > 1 and OTHER_HARDWARE in new:
        why = (
            f"it sent the token of {host.hostname}, but has {' and '.join(new)}: a copy of that "
            "host, or all of this changed at once"
        )
        kind = Kind.CLONED if host.machine_id == said.machine_id else Kind.OTHER_MACHINE
        return Clash(kind, host.host_id, why)
    others = [each for each in known if each is not host and not each.is_retired]
    if said.machine_id != host.machine_id:
        for other in others:
            if said.machine_id and other.machine_id == said.machine_id:
                return _cloned(other, said)
    return _same_unless_taken(host, said, known)


def _new_about(host: Known, said: Identity) -> tuple[str, ...]:
    """Return what of a machine is not what its host had, in words.

    Hardware that nobody can compare may be another, where name and system are others too.
    """
    renamed = _renamed(host, said)
    reinstalled = _differ(host.machine_id, said.machine_id)
    moved = _differ(host.product_uuid, said.product_uuid)
    agrees = bool(said.product_uuid) and host.product_uuid == said.product_uuid
    words = {
        f"another name ({said.hostname})": renamed,
        "another machine-id": reinstalled,
        OTHER_HARDWARE: moved or (renamed and reinstalled and not agrees),
    }
    return tuple(word for word, is_new in words.items() if is_new)


def _arriving(said: Identity, known: Sequence[Known]) -> Decision:
    """Decide about a machine that comes without a host's token."""
    active = [each for each in known if not each.is_retired]
    same_system = [each for each in active if _has_system(each, said)]
    fitting = [each for each in same_system if _fits(each, said)]
    named = [each for each in fitting if _called(each, said)]
    if len(fitting) == 1 or len(named) == 1:
        host = named[0] if len(named) == 1 else fitting[0]
        return _alternates(host, said) or _same_unless_taken(host, said, known)
    if same_system:
        return _cloned(same_system[0], said)
    for host in active:
        if said.product_uuid and host.product_uuid == said.product_uuid:
            if _called(host, said):
                return _same_unless_taken(host, said, known)
            why = (
                f"it has the product UUID of {host.hostname}, but another system, and calls "
                f"itself {said.hostname}: reinstalled under another name, or a UUID of two machines"
            )
            return Clash(Kind.SAME_HARDWARE, host.host_id, why)
    for host in active:
        if host.hostname.lower() == said.hostname.lower():
            return _by_name(host, said, known)
    for host in known:
        if host.is_retired and _fits(host, said) and _is_back(host, said):
            return _same_unless_taken(host, said, known)
    return New(said.hostname)


def _by_name(host: Known, said: Identity, known: Sequence[Known]) -> Decision:
    """Decide about a machine of which only the name is known."""
    if _differ(host.machine_id, said.machine_id) or _differ(host.product_uuid, said.product_uuid):
        why = (
            f"it calls itself {said.hostname}, as the known host does, but is another machine: "
            "reinstalled on other hardware, or two machines under one name"
        )
        return Clash(Kind.SAME_NAME, host.host_id, why)
    return _same(host, said, known)


def _has_system(host: Known, said: Identity) -> bool:
    """Return whether ``host`` has the machine-id, or is filed under an id of this machine."""
    if said.machine_id and host.machine_id == said.machine_id:
        return True
    filed = host.external_id.lower()
    ids = {said.machine_id, said.product_uuid} - {""}
    return filed in ids or filed.replace("-", "") in ids


def _fits(host: Known, said: Identity) -> bool:
    """Return whether nothing says that ``host`` is another machine, and something that it is not.

    The same machine-id under another name is a rename only if hardware or boot agree.
    """
    if _differ(host.machine_id, said.machine_id) or _differ(host.product_uuid, said.product_uuid):
        return False
    if _called(host, said) or not host.reported_name:
        return True
    same_hardware = bool(said.product_uuid) and host.product_uuid == said.product_uuid
    return same_hardware or (bool(said.boot_id) and host.boot_id == said.boot_id)


def _is_back(host: Known, said: Identity) -> bool:
    return _has_system(host, said) or host.hostname.lower() == said.hostname.lower()


def _called(host: Known, said: Identity) -> bool:
    return said.hostname.lower() in (host.hostname.lower(), host.reported_name.lower())


def _renamed(host: Known, said: Identity) -> bool:
    """Return whether the machine calls itself otherwise than before.

    What the inventory calls it does not count: a person or a file may know it by another name.
    """
    return bool(host.reported_name) and host.reported_name.lower() != said.hostname.lower()


def _differ(one: str, other: str) -> bool:
    """Return whether two ids are known, and not the same."""
    return bool(one) and bool(other) and one != other


def _alternates(host: Known, said: Identity) -> Clash | None:
    """Return a clash when the machine is back at what it was before its last change."""
    for name, word in (
        ("boot_id", "boot id"),
        ("product_uuid", "product UUID"),
        ("machine_id", "machine-id"),
    ):
        value = getattr(said, name)
        if not value or value == getattr(host, name):
            continue
        if any(getattr(before, name) == value for before in host.past):
            why = (
                f"its {word} is one that {host.hostname} had before: two machines report in turn, "
                "or one was set back to a snapshot"
            )
            return Clash(Kind.ALTERNATING, host.host_id, why)
    return None


def _cloned(host: Known, said: Identity) -> Clash:
    why = (
        f"it has the machine-id of {host.hostname} and calls itself {said.hostname}: a cloned "
        "image, or a renamed machine of which nothing else is known"
    )
    return Clash(Kind.CLONED, host.host_id, why)


def _same_unless_taken(host: Known, said: Identity, known: Sequence[Known]) -> Decision:
    if _renamed(host, said) and (owner := _owner(host, said.hostname, known)) is not None:
        why = f"{host.hostname} calls itself {owner.hostname} now, which is another host's name"
        return Clash(Kind.NAME_TAKEN, host.host_id, why)
    return _same(host, said, known)


def _owner(host: Known, name: str, known: Iterable[Known]) -> Known | None:
    """Return the other host that has ``name`` and uses it."""
    for each in known:
        if each is not host and not each.is_retired and each.hostname.lower() == name.lower():
            return each
    return None


def _same(host: Known, said: Identity, known: Sequence[Known]) -> Same:
    """Return that the machine is ``host``, with what changed; a taken name is left to its owner."""
    renamed = _renamed(host, said) and _owner(host, said.hostname, known) is None
    found = {
        Change.JOINED: not host.reported_name,
        Change.RENAMED: renamed,
        Change.REINSTALLED: _differ(host.machine_id, said.machine_id),
        Change.MOVED: _differ(host.product_uuid, said.product_uuid),
        Change.REBOOTED: _differ(host.boot_id, said.boot_id),
        Change.RETURNED: host.is_retired,
    }
    name = said.hostname if renamed else host.hostname
    return Same(host.host_id, name, tuple(change for change, is_so in found.items() if is_so))
