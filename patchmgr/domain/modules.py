"""Modular builds (dnf modules): several streams of one package under one name.

A build for a stream carries ``.module`` in its release, such as ``1.module+el8.9.0+1234+abcd``:
the release of the platform, the number of the module's build and a hash, the same for all packages
of that build. The stream itself is not in it; a module's metadata name it, rpm's label where a
report brings that, and the vendor's advisories. Source: Fedora packaging, modularity; dnf applies
an update of a module only to hosts that have that stream enabled.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

_BUILD = re.compile(r"\.(module[+_][A-Za-z0-9.]+\+[0-9]+\+[0-9a-f]+)")
_MODULAR = re.compile(r"\.module[+_]")
_UPSTREAM = re.compile(r"(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)*)")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_COMPANION = re.compile(r"-devel:")  # virt-devel:rhel is built with virt:rhel


Modular = tuple[str, str, str]  # what a statement says of a module: package, fixed, name:stream


@dataclass(frozen=True)
class Catalogue:
    """What the vendor's statements about one platform tell of its modules, all taken together."""

    streams: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by package
    builds: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by build

    @classmethod
    def of(cls, statements: Collection[Modular]) -> "Catalogue":
        streams = defaultdict[str, set[str]](set)
        for package, _fixed, module in statements:
            streams[package].add(module)
        named = {package: frozenset(modules) for package, modules in streams.items()}
        return cls(named, streams_of_builds(statements))

    def same_stream(self, package: str, installed: str, fixed: str, module: str) -> bool | None:
        """Return whether ``installed`` is of the stream of a statement about ``package``."""
        rivals = self.streams.get(package, frozenset())
        built_for = self.builds.get(build_of(installed), frozenset())
        return same_stream(installed, fixed, module, rivals, built_for)


NO_MODULES = Catalogue()


def is_modular(version: str) -> bool:
    """Return whether ``[epoch:]version-release`` is that of a build for a module stream."""
    return _MODULAR.search(version) is not None


def build_of(version: str) -> str:
    """Return which build of a module made ``[epoch:]version-release``; "" when none did."""
    found = _BUILD.search(version)
    return found[1] if found else ""


def main_stream(module: str) -> str:
    """Return the stream that a companion is built with, ``virt:rhel`` of ``virt-devel:rhel``."""
    return _COMPANION.sub(":", module)


def streams_of_builds(
    statements: Iterable[Modular],
) -> dict[str, frozenset[str]]:
    """Return the streams that each build may be of, from (package, fixed version, ``name:stream``).

    Advisories of one stream may list builds of another that have the same version and release, so
    a build is of a stream that is named for every one of its packages.
    """
    named = defaultdict[tuple[str, str], set[str]](set)
    packages = defaultdict[str, set[tuple[str, str]]](set)
    for package, fixed, module in statements:
        build = build_of(fixed)
        if build and module:
            what = (package, fixed.replace(build, ""))
            named[what].add(main_stream(module))
            packages[build].add(what)
    return {
        build: frozenset(set.intersection(*(named[what] for what in made)))
        for build, made in packages.items()
    }


def same_stream(
    installed: str,
    fixed: str,
    module: str,
    rivals: Collection[str] = (),
    built_for: Collection[str] = (),
) -> bool | None:
    """Return whether ``installed`` is of the stream that ``fixed`` was built for; None: unknown.

    ``module`` is that stream (``nodejs:14``), "" when the vendor does not name it; ``rivals`` are
    all the streams that the vendor has named for this package; ``built_for`` those that the build
    of ``installed`` may be of (`streams_of_builds`), empty when not known.

    Where the build does not tell, the version may: one that begins with the number of its stream
    is of that stream, 14.18 of ``nodejs:14``, if all rivals are numbered streams of that module
    (``container-tools:rhel8`` may have had any version). A package with a version of its own tells
    nothing, but may have only one stream to be of.
    """
    if not module:
        return None
    ours = {main_stream(each) for each in built_for}
    if ours:
        return False if main_stream(module) not in ours else True if len(ours) == 1 else None
    streams = {main_stream(each) for each in (module, *rivals)}
    if rivals and len(streams) == 1:
        return True
    return _by_number(installed, fixed, main_stream(module), streams)


def _by_number(installed: str, fixed: str, module: str, streams: set[str]) -> bool | None:
    mine, theirs = _UPSTREAM.match(installed), _UPSTREAM.match(fixed)
    name, _, number = module.partition(":")
    if mine is None or theirs is None or not _begins(theirs[1], number):
        return None
    rivals = {stream for each, _, stream in (s.partition(":") for s in streams) if each == name}
    if len(rivals) != len(streams) or not all(map(_NUMBERS.fullmatch, rivals)):
        return None
    if _begins(mine[1], number):
        return True
    return False if any(_begins(mine[1], each) for each in rivals) else None


def _begins(version: str, number: str) -> bool:
    return f"{version}.".startswith(f"{number}.")
