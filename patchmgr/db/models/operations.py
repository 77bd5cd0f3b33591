"""The running of the service itself: jobs, and reports made."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from patchmgr.db.base import Base, Id, Name, Word


class ScheduledJob(Base):
    """What the leading scheduler runs, written by it, so that other processes can tell and ask."""

    __tablename__ = "scheduled_job"

    name: Mapped[Word] = mapped_column(primary_key=True)
    every: Mapped[int]  # seconds
    next_at: Mapped[datetime]


class JobRun(Base):
    """One run of a job, from the request or the start to its outcome."""

    __tablename__ = "job_run"

    id: Mapped[Id]
    job: Mapped[Word] = mapped_column(index=True)
    trigger: Mapped[Word]  # "schedule", "manual"
    state: Mapped[Word]  # "queued", "running", "succeeded", "failed", "interrupted"
    started_at: Mapped[datetime] = mapped_column(index=True)  # while queued: when it was asked for
    finished_at: Mapped[datetime | None]
    summary: Mapped[str] = mapped_column(Text)  # one line: what it did
    error: Mapped[str] = mapped_column(Text)


class Report(Base):
    """A compliance report that was made: where it lies and what it was made from."""

    __tablename__ = "report"

    id: Mapped[Id]
    kind: Mapped[Word]  # "compliance"
    as_of: Mapped[datetime]
    made_at: Mapped[datetime]
    made_by: Mapped[Name]
    parameters: Mapped[dict[str, Any]]
    headline: Mapped[dict[str, Any]]
    files: Mapped[dict[str, Any]]  # file name -> SHA-256, hex
    stored: Mapped[Name]  # folder inside the home's reports folder
