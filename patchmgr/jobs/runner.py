"""Run a job: never twice at once, always on record, and never letting its failure out."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import OperationalError

from patchmgr.db.session import Database
from patchmgr.errors import PatchmgrError
from patchmgr.services import jobs as record

log = logging.getLogger(__name__)


class Runner:
    """Runs jobs of one process. ``leads`` is asked before each: who lost the lead does nothing."""

    def __init__(
        self, db: Database, clock: Callable[[], datetime], leads: Callable[[], bool]
    ) -> None:
        self._db = db
        self._clock = clock
        self._leads = leads
        self._busy: set[str] = set()
        self._guard = threading.Lock()

    @property
    def busy(self) -> frozenset[str]:
        """The names of the jobs that run now."""
        with self._guard:
            return frozenset(self._busy)

    def run(self, name: str, body: Callable[[], str], *, queued: int | None = None) -> None:
        """Run ``body`` and record its summary, or why it failed; ``queued`` is the run asked for.

        Does nothing while a run of the same job goes on: a queued one stays queued. Raises
        `OperationalError` where the database does not answer, so that there is no record.
        """
        if not self._claim(name):
            return
        try:
            if self._leads():
                self._recorded(name, body, queued)
        except OperationalError:
            raise
        except Exception:
            # Not even the record could be written (disk full): the next run tries again, and the
            # log says why this one is missing.
            log.exception("job %s left no record", name)
        finally:
            with self._guard:
                self._busy.discard(name)

    def _claim(self, name: str) -> bool:
        with self._guard:
            if name in self._busy:
                return False
            self._busy.add(name)
            return True

    def _recorded(self, name: str, body: Callable[[], str], queued: int | None) -> None:
        if queued is None:
            run_id = record.begin(self._db, name, now=self._clock())
        elif record.begin_queued(self._db, queued, now=self._clock()):
            run_id = queued
        else:
            return
        summary, error = _attempt(name, body)
        record.finish(self._db, run_id, now=self._clock(), summary=summary, error=error)


def reason(error: OperationalError) -> str:
    """Return in a line why the database did not answer."""
    return str(error.orig).partition("\n")[0]


def _attempt(name: str, body: Callable[[], str]) -> tuple[str, str]:
    """Return the summary of ``body`` and no error, or no summary and its error in one line."""
    try:
        return body(), ""
    except PatchmgrError as error:
        return "", str(error)
    except OperationalError as error:  # the next run may have more luck; nobody has to mend it
        return "", f"the database did not answer: {reason(error)}"
    except Exception as error:  # a bug in one job must not end the others
        log.exception("job %s failed", name)
        return "", f"{type(error).__name__}: {error}"
