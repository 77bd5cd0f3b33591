"""The bench's tables, for people."""

from collections.abc import Mapping, Sequence

from budgets import DATABASE_MB, FROM, Measure

HEADINGS = ("step", "wall s", "cpu s", "server s", "peak MB", "ratio", "budget", "")


def show(title: str, measures: Mapping[str, Measure], checked: Sequence[dict[str, object]]) -> None:
    """Print every step beside its reference and its budget."""
    by_step = {line["step"]: line for line in checked}
    rows = [HEADINGS, *(_row(measure, by_step.get(name, {})) for name, measure in measures.items())]
    print(f"\n{title}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        print("  ".join(text.ljust(width) for text, width in cells).rstrip())


def size(megabytes: float, hosts: int) -> None:
    print(f"database {megabytes:.0f} MB (budget {DATABASE_MB * hosts / FROM:.0f} MB)")


def _row(measure: Measure, line: Mapping[str, object]) -> tuple[str, ...]:
    limits = (
        f"{line['factor']} x {line['reference']}" if line.get("factor") else "",
        f"{line['seconds']} s" if line.get("seconds") else "",
        f"{line['peak']} MB" if line.get("peak") else "",
    )
    ratio = f"{line['ratio']:.2f}" if line.get("reference") else ""
    return (
        measure.step,
        f"{measure.wall:.2f}",
        f"{measure.cpu:.2f}",
        f"{measure.server:.2f}" if measure.server else "",
        f"{measure.peak:.0f}" if measure.peak else "",
        f"{ratio} of {line['reference']}" if ratio and not line.get("factor") else ratio,
        ", ".join(filter(None, limits)),
        {True: "ok", False: "OVER", None: ""}[line.get("within")],
    )
