"""What every command shares: settings, the database, the clock, output, and errors said once."""

import codecs
import contextlib
import errno
import gc
import getpass
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cached_property
from typing import Any

import click
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from patchmgr import config
from patchmgr.db import migrate
from patchmgr.db.session import Database
from patchmgr.errors import (
    BadFileError,
    BusyError,
    ConflictError,
    DiskFullError,
    FeedError,
    InputError,
    PatchmgrError,
    SettingsError,
    is_full_disk,
)

EXIT: dict[type[PatchmgrError], int] = {InputError: 2, FeedError: 75, BusyError: 75}
EXIT_REFUSED = 1
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_ESCAPED = "patchmgr.escaped"  # how a sign is written that the output has no form for
EXIT_TRY_LATER = 75  # EX_TEMPFAIL of sysexits.h
_LONGEST = 2000  # characters of a line on stderr; what a value has beyond is of no use there
_END = 300  # of those, how many are of its end, where the remedy stands
ID = click.IntRange(0, 2**63 - 1)  # what numbers a row; a database holds no larger one


@dataclass
class App:
    """Opened lazily, so that ``versions compare`` needs neither home nor database."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def settings(self) -> config.Settings:
        return config.load(self.environ)

    @cached_property
    def db(self) -> Database:
        """The database at the current schema. A new embedded one is made; others are not touched.

        Raises `ConflictError` when the schema is older or newer than this program.
        """
        db = self.unchecked_db()
        state = migrate.state(db)
        if state.is_empty and db.is_sqlite:
            migrate.upgrade(db)
        elif not state.is_current:
            migrate.refuse_unknown(state.current)
            raise ConflictError(
                f"the database is at schema {state.current or 'none'}, this program needs "
                f"{state.head}; run: patchmgr db upgrade"
            )
        # The program is loaded and stays so: looking through it at each collection of garbage
        # would cost more than a scan of what one new advisory changes. Once: what a second call
        # would find besides is the garbage of the first command, kept for ever.
        if not gc.get_freeze_count():
            gc.freeze()
        return db

    def unchecked_db(self) -> Database:
        """Return the database, whatever its schema. Raises `SettingsError` for what is none."""
        try:
            return Database(self.settings.database_url)
        except (ArgumentError, ImportError, OSError, ValueError) as error:
            raise SettingsError({config.PREFIX + "DATABASE_URL": str(error)}) from error

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def actor(self) -> str:
        """Who the audit names for what is done here: the operating system's user."""
        try:
            return f"cli:{getpass.getuser()}"
        except (KeyError, OSError):
            return f"cli:{os.getuid()}"


pass_app = click.make_pass_decorator(App)


class Commands(click.Group):
    """A group that ends a deliberate error with its lines and exit code, no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is noticed here, not when the program ends
            return answer
        except (BadFileError, ConflictError) as error:  # these have a line for each problem
            fail(str(error), exit_code(error))
        except PatchmgrError as error:
            fail(_one_line(str(error)), exit_code(error))
        except UnicodeEncodeError as error:
            fail(f"{error.object!r:.80} is not UTF-8; give it in UTF-8", EXIT[InputError])
        except click.UsageError as error:
            _misused(error, ctx)
        except BrokenPipeError:
            # The reader of a pipe went away (``| head``): not an error of ours.
            _give_up_output()
            sys.exit(0)
        except OSError as error:
            _give_up_output()
            code = EXIT_TRY_LATER if error.errno in _PASSING else EXIT[InputError]
            where = _one_line(str(error.filename or "the output"))
            fail(f"{where}: {error.strerror or error}", code)
        except OperationalError as error:
            fail(_no_answer(error), EXIT_TRY_LATER)
        except DatabaseError as error:
            fail(f"the database cannot be used: {error.orig}", EXIT_REFUSED)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            _misused(error, parent)
            raise


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Write signs as JSON escapes, so that JSON stays JSON in an output that is not Unicode."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 -- registered for outputs alone
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escaped)


def prepare_output() -> None:
    """Let whatever is printed be written: in any locale, and nowhere where that is closed."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 -- for all that is left
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 -- as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def _give_up_output() -> None:
    """Let what is still to be written to stdout go nowhere: it cannot be written any more."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _misused(error: click.UsageError, ctx: click.Context | None) -> None:
    """Say in one line what is wrong with the command's words; its help, when it has none."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error
    where = error.ctx or ctx
    help_of = where.command_path if where else "patchmgr"
    said = " ".join(error.format_message().split()).rstrip(".")  # a list of choices has more lines
    fail(f"{said}; see {help_of} --help", error.exit_code)


def exit_code(error: PatchmgrError) -> int:
    """Return 2 for bad input, 75 for "try again later", 1 for a refusal by state."""
    return next((EXIT[kind] for kind in type(error).__mro__ if kind in EXIT), EXIT_REFUSED)


def fail(message: str, code: int) -> None:
    """Say ``message`` on stderr, each line with the program's name, and exit.

    What a terminal would obey instead of show, such as an escape in a file's value, is spelt out.
    """
    for line in message.split("\n"):
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST - _END]} … {line[-_END:]}"  # noqa: PLW2901 -- the same, shorter
        shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
        click.echo(f"patchmgr: {shown}", err=True)
    sys.exit(code)


def _no_answer(error: OperationalError) -> str:
    if is_full_disk(error):
        return str(DiskFullError())
    why = str(error.orig).partition("\n")[0]
    return f"the database did not answer: {why}; try again"


def _one_line(text: str) -> str:
    """Spell out what would begin another line, as a file's name may have it."""
    return text.replace("\n", "\\n")


class At(click.ParamType[datetime]):
    """An instant: ISO 8601; without a zone it is UTC, and a date alone means ``of_day``."""

    name = "time"

    def __init__(self, of_day: time = time.max) -> None:
        self._of_day = of_day

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
            if not any(sign in value for sign in "T :"):
                instant = datetime.combine(instant, self._of_day)
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not an ISO 8601 date or time", param, ctx)


AT = At()
BEGINS = At(time.min)  # of what starts: a date alone means the day's first moment


def instant(at: datetime | None) -> str:
    """Return ``at`` as ISO 8601 UTC to the second, empty for None."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_json(value: object) -> None:
    """Print ``value`` as JSON; instants as ISO 8601 UTC."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns under their names; a line saying so when there is nothing."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        click.echo("nothing to show")
        return
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    for row in [[name.upper().replace("_", " ") for name in columns], *cells]:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def show_listing(columns: Sequence[str], rows: Sequence[Sequence[object]], as_json: bool) -> None:
    """Print a listing as a table or, with ``as_json``, as a list of objects."""
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return instant(value) if isinstance(value, datetime) else str(value)
