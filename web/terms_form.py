"""The terms of a plan as a form has them: which versions are good, who must approve, who acts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from patchmgr.domain import durations
from patchmgr.domain.terms import Execution, Targets, Terms
from patchmgr.errors import InputError

EXECUTIONS = {
    Execution.MANUAL.value: "people, with exports and results",
    Execution.AGENT.value: "each host by itself",
    Execution.RUNNER.value: "a runner, for many hosts",
}
TARGETS = {
    Targets.EXACT.value: "exactly these versions",
    Targets.AT_LEAST.value: "these or newer ones",
}


@dataclass(slots=True)
class TermsRow:
    """The terms as they were typed; None was not in the form, and stays as it is."""

    targets: str | None = None
    execution: str | None = None
    approvers: str | None = None
    valid: str | None = None
    include_held: bool | None = None

    @classmethod
    def of(cls, terms: Terms) -> "TermsRow":
        """Return terms as the form shows them."""
        return cls(
            terms.targets.value,
            terms.execution.value,
            ", ".join(terms.approvers),
            durations.text(terms.approval_valid),
            terms.include_held,
        )

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "TermsRow":
        """Return the terms as they were sent."""
        return cls(
            given.get("targets"),
            given.get("execution"),
            given.get("approvers"),
            given.get("valid"),
            True if "include_held" in given else None,
        )

    def over(self, before: Terms) -> Terms:
        """Return ``before`` with what was typed. Raises `InputError`."""
        changed = before
        if self.targets is not None:
            changed = replace(changed, targets=Targets(_one_of("targets", self.targets, TARGETS)))
        if self.execution is not None:
            execution = Execution(_one_of("execution", self.execution, EXECUTIONS))
            changed = replace(changed, execution=execution)
        if self.approvers is not None:
            names = (word.strip() for word in self.approvers.split(","))
            changed = replace(changed, approvers=tuple(dict.fromkeys(filter(None, names))))
        if self.include_held is not None:
            changed = replace(changed, include_held=self.include_held)
        if self.valid is not None:
            try:
                changed = replace(changed, approval_valid=durations.parse(self.valid.strip()))
            except InputError as error:
                raise InputError({"an approval counts for": str(error)}) from error
        return changed


def _one_of(name: str, word: str, choices: Mapping[str, str]) -> str:
    if word not in choices:
        raise InputError({name: f"{word[:80]!r} is not one of the choices"})
    return word
