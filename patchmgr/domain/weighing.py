"""Every statement that names a package, weighed: what it comes to, and why it does or does not.

A scan keeps only what makes a finding (`patchmgr.services.judging`); an explanation tells what
became of everything else that was said. Both go by the same rules, and a test holds the two equal.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchmgr.domain.advisories import OPEN, Advisory, Fix, Kind, Severity, Status
from patchmgr.domain.folding import Telling, fold
from patchmgr.domain.matching import Subject, Verdict, assess, decisive, overruled, why_not
from patchmgr.domain.modules import NO_MODULES, Catalogue


@dataclass(frozen=True, slots=True)
class Said:
    """A statement, the advisory that makes it (without its fixes) and the feed that brought it."""

    advisory_id: int
    about: Advisory
    feed: str
    fix: Fix


@dataclass(slots=True)
class Weighed:
    """What a statement comes to for a package version."""

    said: Said
    severity: Severity
    verdict: Verdict | None = None  # None: it is not about this package
    unrelated: str = ""  # then why
    yields: str = ""  # why it makes no finding of its own, though it calls the package affected
    also: tuple[Said, ...] = ()  # statements of other advisories that tell the same flaw

    @property
    def decides(self) -> bool:
        """Whether it may decide: a vendor's "not affected" only adds to what others say."""
        return (
            self.verdict is not None
            and not self.yields
            and self.said.fix.status is not Status.NOT_AFFECTED
        )

    @property
    def is_finding(self) -> bool:
        return self.verdict is not None and self.verdict.status in OPEN and not self.yields


_KINDS = {Kind.BUGFIX: "fixes bugs", Kind.ENHANCEMENT: "brings enhancements"}


def weigh(
    subject: Subject, statements: Sequence[Said], modules: Mapping[str, Catalogue]
) -> list[Weighed]:
    """Return what each of ``statements``, which all name ``subject``, comes to, in their order.

    ``modules`` is what is known of module streams, by platform.
    """
    found = [_one(subject, said, modules) for said in statements]
    _overrule(subject, found)
    by_advisory: dict[int, list[Weighed]] = defaultdict(list)
    for each in found:
        if each.decides:
            by_advisory[each.said.advisory_id].append(each)
    decided = {number: _decide(each) for number, each in by_advisory.items()}
    _fold({number: each for number, each in decided.items() if each.is_finding})
    return found


def _one(subject: Subject, said: Said, modules: Mapping[str, Catalogue]) -> Weighed:
    known = modules.get(said.fix.platform, NO_MODULES)
    weighed = Weighed(said, said.fix.severity)
    if said.about.kind in _KINDS:
        weighed.unrelated = (
            f"the advisory {_KINDS[said.about.kind]}, and only security advisories make findings"
        )
    else:
        weighed.unrelated = why_not(said.fix, subject, known)
    if not weighed.unrelated:
        weighed.verdict = assess(subject, said.fix, known)
    return weighed


def _overrule(subject: Subject, weighed: Sequence[Weighed]) -> None:
    """Let the line of updates that a host is on have the word on its CVEs."""
    stated = [each for each in weighed if each.decides]
    ruled = overruled(((e.said.fix, frozenset(e.said.about.cves)) for e in stated), subject)
    for each in stated:
        cves = each.said.about.cves
        if not each.said.fix.channel and cves and ruled.issuperset(cves):
            each.yields = "what the host's own line of updates says of this goes before"


def _decide(weighed: Sequence[Weighed]) -> Weighed:
    """Let one statement of an advisory decide; return it."""
    pairs = [(each.said.fix, each.verdict) for each in weighed if each.verdict is not None]
    deciding = decisive(pairs)
    assert deciding is not None  # noqa: S101 -- there is at least one statement
    fix, verdict = deciding
    decides = next(each for each in weighed if each.said.fix is fix)
    for each in weighed:
        if each is not decides and each.verdict is not None and each.verdict.status in OPEN:
            each.yields = f"another statement of {each.said.about.ref} decides"
    decides.verdict = verdict
    return decides


def _fold(decided: dict[int, Weighed]) -> None:
    """Let each flaw be told once, and name who tells it also."""
    for folded in fold(_telling(each) for each in decided.values()):
        kept = decided[folded.kept.advisory_id]
        others = [decided[other.advisory_id] for other in folded.others]
        kept.severity = folded.severity
        kept.also = tuple(other.said for other in others)
        for other in others:
            other.yields = f"{kept.said.about.ref} of feed {kept.said.feed} tells the same flaw"


def _telling(weighed: Weighed) -> Telling:
    said = weighed.said
    return Telling(
        said.advisory_id,
        said.about.ref,
        frozenset(said.about.cves),
        frozenset(said.about.aliases),
        said.feed,
        said.about.is_record,
        Status.UNDETERMINED if weighed.verdict is None else weighed.verdict.status,
        said.fix.severity,
    )
