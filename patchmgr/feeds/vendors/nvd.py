"""NVD's CVE records: CVSS scores, weaknesses and rejections.

Source: https://nvd.nist.gov/developers/vulnerabilities (CVE API 2.0); the yearly files of NVD have
the same form. A page has ``totalResults``, ``startIndex`` and ``resultsPerPage``; the next one
starts where it ends. Vectors are read by the rules of https://www.first.org/cvss, and a score that
is not the one of its own vector is not believed.

The whole of NVD is about 180 pages of 2,000 records, one every 6 seconds for whoever has no key, so
nothing is fetched unless asked for: by naming the feed, or ``--from`` with files that were fetched
elsewhere.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from patchmgr.domain.flaws import FlawNote, tenths
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside

ADDRESS = "https://services.nvd.nist.gov/rest/json/cves/2.0"
ODD_SHARE = 4  # more than one record in this many: not NVD's at all
MOST = 10_000_000  # CVEs; a page that claims more does not count
REJECTED = "rejected"
READERS: dict[str, Callable[[str], Any]] = {  # newest first; the first that can be read counts
    "cvssMetricV40": CVSS4,
    "cvssMetricV31": CVSS3,
    "cvssMetricV30": CVSS3,
    "cvssMetricV2": CVSS2,
}
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII)
_CWE = re.compile(r"CWE-[0-9]{1,6}", re.ASCII)


class Score(msgspec.Struct, frozen=True, rename="camel"):
    vector_string: str
    base_score: float


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    cvss_data: Score
    source: str = ""
    type: str = ""  # "Primary", "Secondary"


class Weakness(msgspec.Struct, frozen=True):
    class Text(msgspec.Struct, frozen=True):
        value: str = ""

    description: list[Text] = []


class Cve(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    vuln_status: str = ""
    metrics: dict[str, list[msgspec.Raw]] = {}
    weaknesses: list[Weakness] = []


class Item(msgspec.Struct, frozen=True):
    cve: Cve


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    vulnerabilities: list[msgspec.Raw]
    total_results: int
    start_index: int
    results_per_page: int


class Nvd(Feed):
    name: ClassVar[str] = "nvd"
    title: ClassVar[str] = "NVD (CVSS, CWE)"
    start: ClassVar[tuple[str, ...]] = (ADDRESS,)
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    by_default: ClassVar[bool] = False

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        """Return nothing: NVD is read when asked for."""
        return ()

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return a note for each CVE of a page that says something, and the page after it.

        ``platform`` is not needed. Raises `FeedMalformedError` for what is not a page of NVD, or
        has not as many records as it says.
        """
        answer = _answer(url, body)
        notes: list[FlawNote] = []
        odd: list[SetAside] = []
        unscored: list[SetAside] = []
        for number, raw in enumerate(answer.vulnerabilities, 1):
            try:
                cve = _decode_item(raw).cve
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                odd.append(SetAside("", f"record {number}", str(error)))
                continue
            if not _CVE.fullmatch(cve.id):
                odd.append(SetAside("", f"record {number}", f"{cve.id[:40]!r} is not a CVE"))
                continue
            note = _note(cve, unscored)
            if note != FlawNote(cve.id):
                notes.append(note)
        if len(odd) * ODD_SHARE > len(answer.vulnerabilities):
            raise FeedMalformedError(
                f"{url}: {len(odd)} of {len(answer.vulnerabilities)} records are not NVD's, such "
                f"as {odd[0].where}: {odd[0].reason}"
            )
        return Page(notes=tuple(notes), follow=_next(url, answer), set_aside=tuple(odd + unscored))


_decode_item = msgspec.json.Decoder(Item).decode
_decode_metric = msgspec.json.Decoder(Metric).decode


def _answer(url: str, body: bytes) -> Answer:
    try:
        answer = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedMalformedError(f"{url}: not a page of NVD: {error}") from error
    here, start, total = len(answer.vulnerabilities), answer.start_index, answer.total_results
    if not 0 <= start <= total <= MOST:
        raise FeedMalformedError(f"{url}: starts at {start} of {total} records")
    if here != min(answer.results_per_page, total - start):
        raise FeedMalformedError(
            f"{url}: has {here} records where it says that there are {answer.results_per_page}"
        )
    return answer


def _next(url: str, answer: Answer) -> tuple[str, ...]:
    """Return the address of the page after this one; none after the last."""
    after = answer.start_index + len(answer.vulnerabilities)
    if not answer.vulnerabilities or after >= answer.total_results:
        return ()
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query)) | {"startIndex": str(after)}
    return (urlunsplit(parts._replace(query=urlencode(asked))),)


def _note(cve: Cve, unscored: list[SetAside]) -> FlawNote:
    if cve.vuln_status.lower() == REJECTED:
        return FlawNote(cve.id, rejected=True)
    texts = [text.value for weakness in cve.weaknesses for text in weakness.description]
    cwes = tuple(dict.fromkeys(text for text in texts if _CWE.fullmatch(text)))
    for version, metric, raw in _metrics(cve):
        try:
            score = _score(version, metric or _decode_metric(raw))
        except (ValueError, ArithmeticError, LookupError, CVSSError, RecursionError) as error:
            where = f"{cve.id}, {version.removeprefix('cvssMetric')}"
            unscored.append(SetAside("", where, " ".join(str(error).split())[:200]))
            continue
        return FlawNote(
            cve.id,
            cvss=score.cvss_data.base_score,
            cvss_vector=score.cvss_data.vector_string,
            cvss_source=score.source[:80],
            cwes=cwes,
        )
    return FlawNote(cve.id, cwes=cwes)


def _metrics(cve: Cve) -> Iterator[tuple[str, Metric | None, msgspec.Raw]]:
    """Yield the scores of ``cve``, the newest version first, and NVD's own before others'.

    One that cannot be read has no `Metric`.
    """
    for version in READERS:
        found: list[tuple[str, Metric | None, msgspec.Raw]] = []
        for raw in cve.metrics.get(version, ()):
            try:
                found.append((version, _decode_metric(raw), raw))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found.append((version, None, raw))
        yield from sorted(found, key=lambda each: each[1] is None or each[1].type != "Primary")


def _score(version: str, metric: Metric) -> Metric:
    """Return ``metric`` if its score is that of its vector.

    Raises `ValueError`, or what the library raises for a vector that it cannot read.
    """
    vector = metric.cvss_data.vector_string
    if len(vector) > 300:
        raise ValueError("a vector of more than 300 characters")
    own = READERS[version](vector).base_score
    if tenths(float(own)) != tenths(metric.cvss_data.base_score):
        raise ValueError(
            f"score {metric.cvss_data.base_score} is not that of its vector {vector}: {own}"
        )
    return metric
