"""All that runs by itself: the jobs of the services, and that of the inventory's uploads."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from inventory import import_work
from patchmgr.config import Settings
from patchmgr.db.session import Database
from patchmgr.jobs.schedule import Job, jobs


def scheduled(db: Database, settings: Settings, clock: Callable[[], datetime]) -> list[Job]:
    return jobs(db, settings, clock, partial(import_work.work, db, settings.uploads, clock))
