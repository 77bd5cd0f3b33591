"""`patchmgr versions`: how a scheme orders versions."""

import sys
from collections.abc import Iterable

import click

from patchmgr.domain.versions import SCHEMES, compare
from patchmgr.errors import InputError, VersionError

UNREADABLE = "?"


@click.group()
def versions() -> None:
    """How the vendors order versions."""


@versions.command("compare", context_settings={"ignore_unknown_options": True})
@click.argument("scheme")
@click.argument("pair", nargs=-1, metavar="A B | -")
def compare_versions(scheme: str, pair: tuple[str, ...]) -> None:
    """Print how version A stands to B in SCHEME: <, = or >.

    With - in place of A B, read lines of A, tab, B and answer one line each; a version that cannot
    be read is answered with ? and named on stderr.
    """
    if scheme not in SCHEMES:
        raise InputError(f"unknown version scheme {scheme!r}; known: {', '.join(sorted(SCHEMES))}")
    match pair:
        case ("-",):
            if _answer(scheme, sys.stdin.buffer):
                sys.exit(2)
        case (a, b):
            click.echo(compare(scheme, a, b))
        case _:
            raise InputError("give two versions, or - to read pairs from the standard input")


def _answer(scheme: str, lines: Iterable[bytes]) -> int:
    """Print an answer to each line; return how many could not be answered."""
    unreadable = 0
    for number, line in enumerate(lines, start=1):
        try:
            answer = _answer_line(scheme, line.decode("utf-8", "replace").rstrip("\r\n"))
        except InputError as error:
            unreadable += 1
            answer = UNREADABLE
            click.echo(f"patchmgr: line {number}: {error}", err=True)
        sys.stdout.write(answer + "\n")
    sys.stdout.flush()
    return unreadable


def _answer_line(scheme: str, line: str) -> str:
    a, tab, b = line.partition("\t")
    if not tab:
        raise InputError(f"{line[:80]!r} is not two versions with a tab between them")
    for version in (a, b):
        if not version.strip():
            raise VersionError(scheme, version)
    return compare(scheme, a, b)
