"""FIRST's exploit prediction scores: a CSV of every CVE, made daily.

Source: https://www.first.org/epss/data_stats - first a line ``#model_version:...,score_date:...``,
then the header ``cve,epss,percentile``, then a row per CVE with two numbers from 0 to 1.

A quarter of a million CVEs have a score. Kept are those that a stored advisory names; a CVE that
one names later gets its score with the next sync of this feed, which then reads the document again
though it has not changed. A score is a new one when it changed in its third decimal.
"""

import re
from datetime import datetime
from typing import ClassVar

from patchmgr.domain.flaws import FlawNote
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats.dates import instant

ADDRESS = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
HEADER = "cve,epss,percentile"
ODD_SHARE = 4  # more than one row in this many: not the scores at all
_FIRST = re.compile(r"#\s*model_version:[^,]{1,60},\s*score_date:([^,]{10,40})", re.ASCII)
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)


class Epss(Feed):
    name: ClassVar[str] = "epss"
    title: ClassVar[str] = "FIRST exploit prediction scores"
    start: ClassVar[tuple[str, ...]] = (ADDRESS,)
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    only_named: ClassVar[bool] = True

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return a note for each row; ``platform`` is not needed.

        Raises `FeedMalformedError` for a document without the date of its scores, with another
        header, or of which more than a quarter is odd.
        """
        made_at, rows = _rows(url, body)
        notes: list[FlawNote] = []
        odd: list[SetAside] = []
        for number, row in enumerate(rows, 3):
            cve, _, numbers = row.partition(",")
            score, _, percentile = numbers.partition(",")
            values = _share(score), _share(percentile)
            if not _CVE.fullmatch(cve) or None in values:
                ref = cve if _CVE.fullmatch(cve) else ""
                odd.append(SetAside(ref, f"line {number}", f"{row[:60]!r} is not {HEADER}"))
                continue
            notes.append(FlawNote(cve, epss=values[0], epss_percentile=values[1]))
        if len(odd) * ODD_SHARE > len(odd) + len(notes):
            raise FeedMalformedError(f"{url}: {odd[0].where}: {odd[0].reason}")
        return Page(notes=tuple(notes), set_aside=tuple(odd), made_at=made_at)


def _rows(url: str, body: bytes) -> tuple[datetime, list[str]]:
    """Return when the scores were made, and their rows."""
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FeedMalformedError(f"{url}: not UTF-8: {error}") from error
    first = _FIRST.fullmatch(lines[0].strip()) if lines else None
    made_at = instant(first[1]) if first else None
    if made_at is None:
        raise FeedMalformedError(
            f"{url}: the first line does not say of which day the scores are "
            "(#model_version:...,score_date:...)"
        )
    if len(lines) < 2 or lines[1].strip() != HEADER:
        raise FeedMalformedError(f"{url}: the header is not {HEADER}")
    rows = [line.strip() for line in lines[2:] if line.strip()]
    if not rows:
        raise FeedMalformedError(f"{url}: a header without any score")
    return made_at, rows


_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,20})?(e-[0-9]{1,2})?", re.ASCII | re.IGNORECASE)


def _share(text: str) -> float | None:
    """Return a number from 0 to 1; None for anything else."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if number <= 1 else None
