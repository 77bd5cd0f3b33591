"""What each step may take (the budgets), and whether it did."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measure:
    """What a step took."""

    step: str
    wall: float  # seconds
    cpu: float  # seconds, of all threads of the program
    peak: float  # MB, of a process that did only this
    server: float = 0.0  # CPU seconds of the database server

    @property
    def work(self) -> float:
        """Return the CPU seconds of everybody."""
        return self.cpu + self.server


@dataclass(frozen=True)
class Budget:
    """``step`` may take ``factor`` times the CPU of ``reference``, ``seconds``, and ``peak`` MB.

    What is 0 is not limited; a ``reference`` without a factor is shown beside it.
    """

    step: str
    reference: str = ""
    factor: float = 0
    seconds: float = 0
    peak: int = 0


FROM = 10_000  # hosts; in a smaller fleet, opening the database outweighs the work
BUDGETS = (
    Budget("packages import", "csv.reader", 1.5, peak=600),
    Budget("packages import again", "csv.reader", 1.2, peak=600),
    Budget("full scan", "numpy pass", seconds=10, peak=500),
    Budget("scan after 1 % changed", "full scan", 0.05),
    Budget("scan after one advisory", "full scan", 0.05),
)
DATABASE_MB = 300  # for 10,000 hosts
LINEAR = 11  # times the scan of a tenth of the hosts


def judged(budget: Budget, measures: Mapping[str, Measure], hosts: int) -> dict[str, object]:
    """Return the budget beside what was measured; seconds and memory grow with the fleet."""
    measure = measures[budget.step]
    scale = max(1.0, hosts / FROM)
    ratio = measure.work / measures[budget.reference].work if budget.reference else 0.0
    within = (
        (not budget.factor or ratio <= budget.factor)
        and (not budget.seconds or measure.wall <= budget.seconds * scale)
        and (not budget.peak or measure.peak <= budget.peak * scale)
    )
    return asdict(budget) | {"ratio": round(ratio, 3), "within": within}
