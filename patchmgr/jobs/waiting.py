"""What an operator reads when jobs cannot run: one line when that begins, one when it is over.

A scheduler that says of each run that it left it out fills the log just when somebody reads it: the
one that looks for requests comes due every second.
"""

from collections import Counter
from datetime import datetime, timedelta
from threading import Lock

WORTH_TELLING = timedelta(seconds=30)  # a run that merely lasts longer than its interval is none


class Waiting:
    """Which jobs wait, since when, and what they have left out; for all threads of a scheduler.

    Both calls return the line to be logged, "" when there is nothing new to say.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._since: datetime | None = None
        self._told = False
        self._missed: Counter[str] = Counter()  # runs of each job that waits

    def kept(self, job: str, at: datetime, error: str = "") -> str:
        """Note that a run of ``job`` was left out, or came to nothing for ``error``."""
        with self._guard:
            self._since = self._since or at
            self._missed[job] += 1
            if self._told or not (error or at - self._since >= WORTH_TELLING):
                return ""
            self._told = True
            why = f"the database did not answer ({error})" if error else "a run has not ended"
            return (
                f"jobs wait since {self._since:%Y-%m-%d %H:%M:%S} UTC: {job}, {why};"
                " what comes due meanwhile is left out and made up for, once"
            )

    def went(self, job: str, at: datetime) -> str:
        """Note that a run of ``job`` went well: had it waited, the others can go on as well."""
        with self._guard:
            if self._since is None or job not in self._missed:
                return ""
            said, lasted = self._told, at - self._since
            missed = ", ".join(f"{name} {runs}" for name, runs in sorted(self._missed.items()))
            self._since, self._told = None, False
            self._missed.clear()
            if not said:
                return ""
            return f"jobs go on after {lasted.total_seconds():.0f} s; runs left out: {missed}"
