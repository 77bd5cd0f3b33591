"""What an explanation holds, and how it is said: as a sentence, and as JSON."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patchmgr.db.queries import flaws
from patchmgr.db.queries.flaws import NoteLine
from patchmgr.domain.advisories import Match, Severity, Status
from patchmgr.domain.facts import Installable
from patchmgr.domain.flaws import Danger
from patchmgr.domain.lifecycle import Support
from patchmgr.domain.matching import NEEDS
from patchmgr.domain.offers import Supply
from patchmgr.domain.urgency import word_of


@dataclass(frozen=True, slots=True)
class Covering:
    """An exception in force that covers a finding."""

    id: int
    label: str
    reason: str
    owner: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Unrelated:
    """A statement that names the package and does not concern this build of it."""

    advisory: str
    title: str
    feed: str
    revision: int
    revision_at: datetime
    document: str
    stated: str
    fixed: str
    why: str  # "it is for i686, and this build is for x86_64"


@dataclass(frozen=True, slots=True)
class Consideration:
    """One statement that was held against an installed package, and what came of it."""

    advisory: str
    title: str
    cves: tuple[str, ...]
    platform: str  # that the statement is about
    severity: Severity
    url: str
    feed: str
    revision: int
    revision_at: datetime
    revision_digest: str
    document: str
    status: str  # the verdict here
    stated: str  # the status that the vendor states
    match: Match
    matched_name: str
    matched_version: str
    scheme: str
    fixed: str
    introduced: str
    comparison: str
    first_seen: datetime | None
    due: datetime | None
    due_row: str
    due_label: str
    danger: Danger  # what its due date goes by, as the scan knew it
    yields: str  # why it makes no finding of its own, though it calls the package affected
    also: tuple[tuple[str, str], ...]  # (advisory, feed) that tell the same flaw
    exceptions: tuple[Covering, ...]  # that cover the finding
    supply: Supply | None = None  # whether a repository offers the fix; None: not known, or no need
    installable: Installable | None = None  # by what the host's own repositories have; None: no fix
    own_offer: str = ""  # what these offer, or that they do not; "" when they did not say
    notes: tuple[NoteLine, ...] = ()  # what catalogues say of its flaws, by CVE and feed

    @property
    def is_finding(self) -> bool:
        return self.status != Status.NOT_AFFECTED and not self.yields

    @property
    def offered(self) -> str:
        """Return what is on offer: by the host itself, which knows best, else by the archive."""
        return self.own_offer or (self.supply.words if self.supply else "")


@dataclass(frozen=True, slots=True)
class Explained:
    """One installed version of the package, with every statement that bears on it."""

    package_version_id: int
    manager: str
    package: str
    arch: str
    installed: str
    source: str
    source_version: str
    judged_source: str
    judged_version: str
    held: bool
    foreign: str  # who built it, if not the vendor of the platform
    idle: str  # why it does not count: a kernel that neither runs nor boots next
    considered: tuple[Consideration, ...]  # findings first, worst first
    unrelated: tuple[Unrelated, ...]
    support: tuple[Support, ...] = ()  # what its vendor does not do for it any more
    is_source_unknown: bool = False  # the report does not say what it was built from

    @property
    def findings(self) -> tuple[Consideration, ...]:
        return tuple(each for each in self.considered if each.is_finding)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a package on a host is, or is not, a finding."""

    host_id: int
    host: str
    platform: str
    at: datetime
    reported_at: datetime | None
    reboot_pending: bool
    reboot_reported: bool
    has_feed: bool  # whether any feed speaks of the platform at all
    policy: str  # name and version of the one that gives due dates
    installed: tuple[Explained, ...]


def sentence(said: Consideration) -> str:
    """Return the verdict as a person would say it."""
    return _verdict(said) + (f"; no finding of its own: {said.yields}" if said.yields else "")


def _verdict(said: Consideration) -> str:
    if said.status == Status.AFFECTED:
        needs = "".join(f"; {part}" for part in said.comparison.split("; ") if NEEDS in part)
        return (
            f"affected: {said.matched_version} is older than {said.fixed}, which fixes "
            f"{_flaws(said)}{needs}"
        )
    if said.status == Status.NO_FIX:
        why = f" ({said.comparison})" if said.comparison else ""
        return (
            f"no fix: the vendor calls {said.matched_name} affected by {_flaws(said)} and has "
            f"nothing to install{why}"
        )
    if said.status == Status.UNDETERMINED:
        return f"undetermined: {said.comparison or 'the vendor has not determined it yet'}"
    return f"not affected: {said.comparison}"


def _flaws(said: Consideration) -> str:
    return " ".join(said.cves) or said.advisory


def what_would_change(said: Consideration) -> str:
    """Return what would turn the verdict; empty where another statement has the word."""
    return "" if said.yields else f"would change: {_turning(said)}"


def _turning(said: Consideration) -> str:
    package = f"an inventory with {said.match} {said.matched_name}"
    if said.status == Status.AFFECTED:
        return f"{package} at {said.fixed} or newer"
    if said.status == Status.NO_FIX:
        return "the vendor publishing a fix, or removing the package"
    if said.stated == said.status:
        return "the vendor's verdict"
    if said.status == Status.UNDETERMINED:
        if said.comparison.startswith(repr(said.matched_version)):
            return f"{package} at a version that can be read"
        if said.comparison.startswith("'"):
            return "the vendor stating a version that can be read"
        return f"{package} that tells its module stream or service pack"
    before = f"{said.matched_version} is older than {said.introduced}"
    if said.introduced and said.comparison.startswith(before):
        return f"{package} at {said.introduced} or newer"
    return f"{package} before {said.fixed}" if said.fixed else "the vendor's verdict"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation in the form that the command line and the API print."""
    return {
        "host": explanation.host,
        "platform": explanation.platform,
        "at": explanation.at,
        "reported_at": explanation.reported_at,
        "has_feed": explanation.has_feed,
        "packages": [
            {
                "package": each.package,
                "arch": each.arch,
                "installed": each.installed,
                "source": each.judged_source,
                "source_version": each.judged_version,
                "source_known": not each.is_source_unknown,
                "held": each.held,
                "support": [one.words for one in each.support],
                "foreign": each.foreign,
                "idle": each.idle,
                "considered": [
                    {
                        "advisory": said.advisory,
                        "cves": list(said.cves),
                        "severity": said.severity.word,
                        "status": said.status,
                        "stated": said.stated,
                        "feed": said.feed,
                        "revision": said.revision,
                        "revision_at": said.revision_at,
                        "document": said.document,
                        "match": said.match.value,
                        "matched_name": said.matched_name,
                        "installed": said.matched_version,
                        "fixed": said.fixed,
                        "introduced": said.introduced,
                        "scheme": said.scheme,
                        "comparison": said.comparison,
                        "sentence": sentence(said),
                        "would_change": what_would_change(said),
                        "first_seen": said.first_seen,
                        "offered": said.offered or None,
                        "installable": said.installable,
                        "due": said.due,
                        "due_row": said.due_row,
                        "kev": word_of(said.danger.kev),
                        "flaws": [
                            {"cve": line.note.cve, **flaws.plain(line)} for line in said.notes
                        ],
                        "is_finding": said.is_finding,
                        "also": [{"advisory": ref, "feed": name} for ref, name in said.also],
                        "exceptions": [
                            {
                                "id": one.id,
                                "exception": one.label,
                                "reason": one.reason,
                                "owner": one.owner,
                                "expires_at": one.expires_at,
                            }
                            for one in said.exceptions
                        ],
                    }
                    for said in each.considered
                ],
                "unrelated": [
                    {
                        "advisory": said.advisory,
                        "feed": said.feed,
                        "revision": said.revision,
                        "revision_at": said.revision_at,
                        "document": said.document,
                        "stated": said.stated,
                        "fixed": said.fixed,
                        "why": said.why,
                    }
                    for said in each.unrelated
                ],
            }
            for each in explanation.installed
        ],
    }
