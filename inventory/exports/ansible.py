"""Ansible's facts of one host: ``package_facts``, alone or with those of ``setup``.

Source: ansible.builtin.package_facts and its managers; the fact cache's JSON plugin. It names no
source packages. What ``ansible`` prints before the JSON of an ad-hoc command is left out.
"""

import re
from collections.abc import Callable

from inventory import json_text
from inventory.json_text import Object, UnexpectedError
from inventory.managers import pip, rpm
from inventory.report import Collector, Listing
from patchmgr.domain import os_names
from patchmgr.domain.packages import Package

COMMAND = ("ansible", "HOST", "-m", "package_facts")
FILE = "Ansible facts"

# What an ad-hoc command prints before a host's JSON, perhaps below warnings.
_PREFIX = re.compile(r"^(\S+) \| ([A-Z]+)!? (?:\| rc=\S+ )?=> (?=\{)", re.MULTILINE)
_LISTED = re.compile(r'"source"\s*:\s*"(?:apt|rpm|apk|pacman|pip)"')
_KEYS = "gpg-pubkey"


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like facts of Ansible."""
    if _PREFIX.search(listing):
        return True
    return listing.lstrip()[:1] == "{" and (
        '"ansible_facts"' in listing or _LISTED.search(listing) is not None
    )


def read(listing: str) -> Listing:
    """Return what is installed according to the facts ``listing``. Raises `BadFileError`."""
    text = _of_one_host(listing)
    document = json_text.an_object(json_text.load(text, FILE), "", FILE)
    facts = json_text.an_object(document.get("ansible_facts", document), "ansible_facts", FILE)
    packages = facts.get("packages", facts.get("ansible_packages"))
    if packages is None:
        why = "is missing; gather it with the module package_facts"
        raise json_text.refused(FILE, "packages", why)
    found = Collector(FILE)
    for name, entries in json_text.an_object(packages, "packages", FILE).items():
        for place, entry in enumerate(json_text.objects(entries, "packages", FILE)):
            _entry(found, name, place, entry)
    return found.listing(system=_system(facts))


def _of_one_host(listing: str) -> str:
    """Return the JSON of ``listing``. Raises `BadFileError` where it is not of one host."""
    results = list(_PREFIX.finditer(listing))
    if not results:
        return listing
    if len(results) > 1:
        named = ", ".join(each[1] for each in results[:5])
        raise json_text.refused(FILE, "", f"is of several hosts ({named}); send each on its own")
    name, state = results[0].groups()
    if state not in ("SUCCESS", "CHANGED"):
        raise json_text.refused(FILE, "", f"is no result: {name} is {state}, says Ansible")
    return listing[results[0].end() :]


def _entry(found: Collector, key: str, place: int, entry: Object) -> None:
    where = f"packages[{place}]"
    try:
        manager = json_text.text_in(entry, "source")
        name = json_text.text_in(entry, "name") or key
        if name == _KEYS:
            return
        made = _MAKERS[manager](entry, name) if manager in _MAKERS else None
    except UnexpectedError as error:
        found.refuse(0, f"packages.{error.key}", error.value, f"of {key[:40]!r} is no text")
        return
    if made is None:
        found.leave(name, f"is of {manager or 'no manager'!s}, of which no feed speaks")
    else:
        found.take(made, where=where)


def _of_apt(entry: Object, name: str) -> Package:
    said = (json_text.text_in(entry, key) for key in ("version", "arch", "origin"))
    version, arch, origin = said
    return Package("dpkg", name.partition(":")[0], version, arch, origin=origin)


def _of_rpm(entry: Object, name: str) -> Package:
    epoch, version, release, arch = (
        json_text.text_in(entry, key) for key in ("epoch", "version", "release", "arch")
    )
    return rpm.package((epoch, version, release), name, arch, "", "", "")


def _of_apk(entry: Object, name: str) -> Package:
    version, release = (json_text.text_in(entry, key) for key in ("version", "release"))
    return Package("apk", name, "-".join(filter(None, (version, release))))


def _of_pacman(entry: Object, name: str) -> Package:
    return Package("alpm", name, json_text.text_in(entry, "version"))


def _of_pip(entry: Object, name: str) -> Package:
    return Package(pip.MANAGER, pip.plain(name), json_text.text_in(entry, "version"))


_MAKERS: dict[str, Callable[[Object, str], Package]] = {
    "apt": _of_apt,
    "rpm": _of_rpm,
    "apk": _of_apk,
    "pacman": _of_pacman,
    "pip": _of_pip,
}


def _system(facts: Object) -> str:
    """Return the system as os-release would name it; "" where the facts are not there."""
    said = [facts.get(f"ansible_{key}") for key in ("distribution", "distribution_version")]
    name, release = (each if isinstance(each, str) else "" for each in said)
    return os_names.system(name, release)
