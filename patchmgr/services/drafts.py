"""Files that are written beside their place and take it whole, or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
_OF_DATABASES = ("", "-wal", "-shm", "-line")  # what SQLite and its writers leave beside one


@contextmanager
def draft(path: Path, *, mode: int = 0o666, first_stays: bool = False) -> Iterator[Path]:
    """Yield a name beside ``path``; what is there when the block ends well takes its place.

    It is on the disk before it does. ``mode``: as for `os.open`. ``first_stays``: a file that came
    to be at ``path`` meanwhile is not replaced. What processes that were killed had begun is
    removed. Raises `OSError`.
    """
    _remove_abandoned(path)
    begun = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        begun.touch(mode=mode)
        yield begun
        with begun.open("rb") as written:
            os.fsync(written.fileno())
        if not first_stays:
            begun.replace(path)
            return
        with suppress(FileExistsError):
            os.link(begun, path)
    finally:
        for of_it in _OF_DATABASES:
            begun.with_name(begun.name + of_it).unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    name = re.compile(rf"\.{re.escape(path.name)}\.([0-9]+)\.part(-[a-z]+)?")
    with suppress(PermissionError):  # a folder to put things in and not to look into
        for beside in path.absolute().parent.iterdir():
            if (found := name.fullmatch(beside.name)) and not _lives(int(found[1])):
                beside.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    """Return whether a process of this number is there; whoever's it is."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True
