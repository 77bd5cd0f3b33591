"""What a host's own tools say beside its packages: one small pure reader for each of them.

A reader takes the raw text of its section and returns values. Lines that a tool prints around its
answer are left out; a text that is not the tool's answer raises `UnreadableError`, and the fact is
then not known rather than guessed.
"""

import re
from collections.abc import Iterator

LONGEST_LINE = 1_000  # characters; no tool that is read here prints longer ones
MOST = 100_000  # lines that are believed of one host
FEW = 5_000  # where each line is kept and shown
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


class UnreadableError(Exception):
    """A section is not what its tool prints: which line, and why."""

    def __init__(self, line: int, value: str, why: str) -> None:
        where = f"line {line}: " if line else ""
        shown = f"{value[:80]!r} " if value else ""
        super().__init__(f"{where}{shown}{why}")
        self.line, self.value, self.why = line, value, why


def lines_of(text: str, most: int = MOST) -> Iterator[tuple[int, str]]:
    """Yield the lines of ``text`` that say something, numbered. Raises `UnreadableError`."""
    for number, line in enumerate(text.splitlines(), start=1):
        if number > most:
            raise UnreadableError(number, "", f"is one of more than {most} lines")
        if len(line) > LONGEST_LINE:
            raise UnreadableError(number, line, f"is longer than {LONGEST_LINE} characters")
        if _CONTROL.search(line):
            raise UnreadableError(number, line, "has control characters")
        if line.strip():
            yield number, line.rstrip()
