"""Packages of rpm: RHEL and its kin, Fedora, SUSE, Amazon, Oracle, Azure.

Source: rpm(8), query formats; Fedora packaging, modularity labels; Red Hat's package manifests of
its images (JSON). Keys of package signatures are listed among the packages and are none. Several
versions of one package, as kernels have, are all installed.

``rpm -qa`` alone leaves epochs out: a package that has one then seems older than it is.
"""

import re
from collections.abc import Sequence

from inventory import json_text
from inventory.json_text import Object
from inventory.report import Collector, Listing, lines, shown
from patchmgr.domain.packages import Package

COMMAND = (
    "rpm",
    "-qa",
    "--qf",
    (
        "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}"
        "\\t%{MODULARITYLABEL}\\t%{VENDOR}\\n"
    ),
)
FILE = "rpm listing"
MANAGER = "rpm"
NO_EPOCHS = (
    "the listing names no epochs: a package that has one seems older than it is; "
    "docs/inventory.md has a command that names them"
)

KEYS = "gpg-pubkey"
_NONE = ("", "(none)", "(null)")
_KNOWN = (
    "noarch x86_64 x86_64_v2 x86_64_v3 x86_64_v4 amd64 ia32e i386 i486 i586 i686 athlon geode ia64"
    " aarch64 armv5tel armv6hl armv6l armv7l armv7hl armv7hnl armv8hl ppc ppc64 ppc64le ppc64p7"
    " s390 s390x riscv64 loongarch64 mips mipsel mips64 mips64el sparc sparcv9 sparc64 sw_64 alpha"
)
_ARCHES = frozenset(_KNOWN.split())
_SEPARATORS = ("\t", "|", ";", ",")
_NAME = re.compile(r"[A-Za-z0-9_.+~-]+", re.ASCII)
_PART = r"[A-Za-z0-9._+~^%{}@]+"  # of a version, or a release
_VERSION = re.compile(_PART, re.ASCII)
_EVR = re.compile(rf"(?:([0-9]+|\(none\)):)?({_PART})-({_PART})", re.ASCII)
_WHOLE = re.compile(rf"([A-Za-z0-9_.+~-]+)-(?:([0-9]+|\(none\)):)?({_PART})-({_PART})", re.ASCII)
_SOURCE = re.compile(rf"(.+)-(?:[0-9]+:)?({_PART}-{_PART})\.(?:no)?src(?:\.rpm)?", re.ASCII)
_LABEL = re.compile(r"([^\s:]+:[^\s:]+):[0-9]+:[^\s:]+")
_NOISE = re.compile(r"warning: ")


def recognises(listing: str) -> bool:
    """Return whether ``listing`` looks like one of rpm."""
    if listing.lstrip()[:1] == "{":
        return '"rpms"' in listing
    line = next((each for each in lines(listing[:4096]) if _is_said(each)), "")
    found = _of_line(line)
    return found is not None and found[0].arch in _ARCHES - {"i386", "amd64"}


def read(listing: str) -> Listing:
    """Return what is installed according to ``listing``.

    Lines are those of `COMMAND`, or of a shorter format (docs/inventory.md), or of ``rpm -qa``
    without any. Raises `BadFileError` naming each line that is none.
    """
    found = Collector(FILE)
    if listing.lstrip()[:1] == "{":
        has_epochs = _manifest(found, listing)
    else:
        has_epochs = _lines(found, listing)
    notes = () if has_epochs else (NO_EPOCHS,)
    return found.listing(managers=frozenset({MANAGER}), notes=notes)


def package(
    evr: tuple[str, str, str], name: str, arch: str, source_rpm: str, label: str, vendor: str
) -> Package:
    """Return the package of these fields as rpm writes them; ``(none)`` is none.

    A source package's file name has no epoch: it is the package's own, as subpackages that set
    another are few.
    """
    epoch = evr[0] if evr[0] not in (*_NONE, "0") else ""
    prefix = f"{epoch}:" if epoch else ""
    source = _SOURCE.fullmatch(source_rpm)
    module = _LABEL.fullmatch(label)
    return Package(
        MANAGER,
        name,
        f"{prefix}{evr[1]}-{evr[2]}",
        "" if arch in _NONE else arch,
        source[1] if source else "",
        f"{prefix}{source[2]}" if source else "",
        module[1] if module else "",
        "" if vendor in _NONE else vendor,
    )


def _is_said(line: str) -> bool:
    return bool(line.strip()) and not _NOISE.match(line) and not line.startswith(KEYS)


def _lines(found: Collector, listing: str) -> bool:
    """Collect the packages of lines; return whether they say epochs."""
    says_epochs = False
    for number, line in enumerate(lines(listing), start=1):
        if not _is_said(line):
            continue
        made = _of_line(line)
        if made is None:
            found.refuse(
                number, "", line, "is no line of rpm -qa; see docs/inventory.md for the command"
            )
            continue
        says_epochs = says_epochs or made[1]
        found.take(made[0], number)
    return says_epochs


def _separator(line: str) -> str | None:
    return next((sign for sign in _SEPARATORS if sign in line), None)


def _of_line(line: str) -> tuple[Package, bool] | None:
    """Return the package of a line, and whether its epoch is said, be it that it has none."""
    fields = [field.strip() for field in line.strip("\r\n").split(_separator(line))]
    if len(fields) == 1:
        found = whole(fields[0])
        return (found, ":" in fields[0]) if found else None
    place = next((at for at in (2, 3, 4) if at < len(fields) and fields[at] in _ARCHES), None)
    evr = None if place is None else _evr(fields[1:place])
    if place is None or evr is None or not _NAME.fullmatch(fields[0]):
        return None
    rest = _rest(fields[place + 1 :])
    if rest is None:
        return None
    return package(evr, fields[0], fields[place], *rest), place != 3


def _evr(fields: Sequence[str]) -> tuple[str, str, str] | None:
    """Return epoch, version and release of ``EVR``, ``VERSION RELEASE`` or all three."""
    if len(fields) == 1:
        evr = _EVR.fullmatch(fields[0])
        return (evr[1] or "", evr[2], evr[3]) if evr else None
    epoch, version, release = ("", *fields)[-3:]
    if not (epoch in _NONE or (epoch.isascii() and epoch.isdigit())):
        return None
    if not _VERSION.fullmatch(version) or not _VERSION.fullmatch(release):
        return None
    return epoch, version, release


def _rest(fields: Sequence[str]) -> tuple[str, str, str] | None:
    """Return source rpm, module label and vendor of what follows the architecture.

    They stand in this order, as far as they are there; a time of installation may come before the
    vendor or last. A text that is none of these could be anything, and is not taken for a vendor.
    """
    left = list(fields)
    source = left.pop(0) if left and (left[0] in _NONE or _SOURCE.fullmatch(left[0])) else ""
    if left and not source and len(fields) == len(left):
        return None
    label = left.pop(0) if left and (left[0] in _NONE or _LABEL.fullmatch(left[0])) else ""
    vendor = " ".join(each for each in left if not each.isdigit())
    return source, label, vendor


def whole(text: str) -> Package | None:
    """Return the package of ``name-[epoch:]version-release.arch``; old ones leave arch out."""
    before, _, arch = text.rpartition(".")
    match = _WHOLE.fullmatch(before if arch in _ARCHES else text)
    if match is None or (arch not in _ARCHES and not any(map(str.isdigit, match[4]))):
        return None
    name, epoch, version, release = match.groups()
    evr = (epoch or "", version, release)
    return package(evr, name, arch if arch in _ARCHES else "", "", "", "")


def _manifest(found: Collector, text: str) -> bool:
    document = json_text.an_object(json_text.load(text, FILE), "", FILE)
    entries = json_text.objects(document.get("rpms"), "rpms", FILE)
    says_epochs = False
    for place, entry in enumerate(entries):
        where = f"rpms[{place}]"
        try:
            if entry.get("name") == KEYS or entry.get("kind") == "source":
                continue
            made = _of_entry(entry)
        except json_text.UnexpectedError as error:
            found.refuse(0, f"{where}.{error.key}", error.value, "is no text")
            continue
        if made is None:
            what = shown(str(entry.get("name")))
            found.refuse(0, where, what, "has no name, version and release of an rpm")
            continue
        says_epochs = says_epochs or ":" in made.version or "epoch" in entry
        found.take(made, where=where)
    return says_epochs


def _of_entry(entry: Object) -> Package | None:
    name, epoch, version, release = (
        json_text.text_in(entry, key) for key in ("name", "epoch", "version", "release")
    )
    before, colon, after = version.partition(":")  # Red Hat's manifests: "32:9.16.23"
    evr = _evr([before, after, release] if colon else [epoch, version, release])
    if not _NAME.fullmatch(name) or evr is None:
        return None
    arch = json_text.text_in(entry, "architecture") or json_text.text_in(entry, "arch")
    source = json_text.text_in(entry, "srpm_nevra") or json_text.text_in(entry, "sourcerpm")
    label = json_text.text_in(entry, "module") or json_text.text_in(entry, "modularitylabel")
    vendor = json_text.text_in(entry, "vendor")
    return package(evr, name, arch, source, label, vendor)
