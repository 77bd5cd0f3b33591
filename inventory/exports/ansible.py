"""Ansible's facts of one host: ``package_facts``, alone or with those of ``setup``.

Source: ansible.builtin.package_facts and its managers; the fact cache's JSON plugin; the callback
``ansible.posix.json``. They may be a module's result, a host's variables, below the host's name, or
the packages alone. It names no source packages. What ``ansible`` prints before the JSON of an
ad-hoc command is left out.
"""

import re
from collections.abc import Callable, Collection

from inventory import json_text
from inventory.json_text import Object, UnexpectedError
from inventory.managers import pip, rpm
from inventory.report import Collector, Listing, shown
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
        '"ansible_facts"' in listing or _LISTED.search(listing) is not None or _is_wrapped(listing)
    )


def _is_wrapped(listing: str) -> bool:
    """Return whether ``listing`` is the file of a fact cache of ansible-core 2.19 or later."""
    return re.match(r'\s*\{\s*"__payload__"\s*:\s*"', listing) is not None


def read(listing: str) -> Listing:
    """Return what is installed according to the facts ``listing``. Raises `BadFileError`."""
    text = _of_one_host(listing)
    document = json_text.an_object(json_text.load(text, FILE), "", FILE)
    if _is_wrapped(text):
        inner = json_text.text_in(document, "__payload__")
        document = json_text.an_object(json_text.load(inner, FILE), "__payload__", FILE)
    around, facts = _said_of_one(document)
    packages = facts.get("packages", facts.get("ansible_packages"))
    if packages is None:
        why = "is missing; gather it with the module package_facts"
        raise json_text.refused(FILE, "packages", why)
    found = Collector(FILE)
    for name, entries in json_text.an_object(packages, "packages", FILE).items():
        for place, entry in enumerate(json_text.objects(entries, "packages", FILE)):
            _entry(found, name, place, entry)
    return found.listing(system=_system(facts) or _system(around))


def _said_of_one(document: Object) -> tuple[Object, Object]:
    """Return what holds the facts of the one host, and the facts. Raises `BadFileError`."""
    if not _has_packages(document):
        hosts = _by_host(document)
        _check_one(hosts)
        if hosts:
            document = next(iter(hosts.values()))
        elif document and all(map(_is_entries, document.values())):
            return document, {"packages": document}
    facts = document.get("ansible_facts", document)
    if _names_packages(document) and not _names_packages(facts):
        facts = document
    return document, json_text.an_object(facts, "ansible_facts", FILE)


def _has_packages(said: object) -> bool:
    return isinstance(said, dict) and (
        _names_packages(said) or _names_packages(said.get("ansible_facts"))
    )


def _names_packages(facts: object) -> bool:
    return isinstance(facts, dict) and ("packages" in facts or "ansible_packages" in facts)


def _by_host(document: Object) -> dict[str, Object]:
    """Return what is below the names of hosts, as a playbook's results or variables have it."""
    found: dict[str, Object] = {}
    plays = document.get("plays")
    for play in plays if isinstance(plays, list) else ():
        tasks = play.get("tasks") if isinstance(play, dict) else None
        for task in tasks if isinstance(tasks, list) else ():
            hosts = task.get("hosts") if isinstance(task, dict) else None
            found |= hosts if isinstance(hosts, dict) else {}
    return {name: said for name, said in (found or document).items() if _has_packages(said)}


def _is_entries(value: object) -> bool:
    """Return whether ``value`` is what package_facts says of one package."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and "source" in each for each in value)
    )


def _check_one(hosts: Collection[str]) -> None:
    if len(hosts) > 1:
        named = ", ".join(shown(each) for each in list(hosts)[:5])
        raise json_text.refused(FILE, "", f"is of several hosts ({named}); send each on its own")


def _of_one_host(listing: str) -> str:
    """Return the JSON of ``listing``. Raises `BadFileError` where it is not of one host."""
    results = list(_PREFIX.finditer(listing))
    if not results:
        return listing
    _check_one([each[1] for each in results])
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
    keys = ("distribution", "distribution_version")
    said = [facts.get(f"ansible_{key}", facts.get(key)) for key in keys]
    name, release = (each if isinstance(each, str) else "" for each in said)
    return os_names.system(name, release)
