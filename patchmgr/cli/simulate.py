"""``patchmgr simulate``: play a rollout on a virtual fleet, and see what would happen."""

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from patchmgr.cli.app import ID, App, instant, pass_app, show_table
from patchmgr.cli.plan_files import parsed, write_bytes
from patchmgr.domain.simulation.lines import Line
from patchmgr.domain.simulation.picture import Progress, draw
from patchmgr.domain.simulation.player import Played, of_scenario
from patchmgr.domain.simulation.reading import scenario_from_json
from patchmgr.errors import InputError
from patchmgr.services import forecasts

LARGEST_SCENARIO = 32 << 20  # bytes: room for 100,000 hosts that each have a table of their own
MOST_HOST_LINES = 40  # of those that went wrong, in the time line for people
_WRONG = ("failed", "timed_out", "lost", "group_waits", "rolled_back")


@click.command()
@click.argument("plan_id", metavar="[PLAN_ID]", type=ID, required=False)
@click.option(
    "--scenario",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A virtual fleet and its plan, TOML or JSON (docs/simulation.md).",
)
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each event.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write an SVG of the progress.")
@pass_app
def simulate(
    app: App,
    plan_id: int | None,
    file: Path | None,
    seed: int | None,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Play a scenario, or what PLAN_ID would do from now on if every host succeeds."""
    if (plan_id is None) == (file is None):
        raise InputError({"simulate": "give --scenario FILE or the id of a plan, one of them"})
    if file is not None:
        played = _scenario(file, seed)
    else:
        assert plan_id is not None  # noqa: S101 -- one of the two is there
        with app.db.reading() as session:
            played = forecasts.played(session, plan_id, now=app.now, seed=seed or 0)
    progress = Progress(played.sizes)
    gc.disable()  # a simulation leaves no cycles, and looking for some is a fifth of its time
    try:
        if as_json:
            _print_log(played.lines, progress)
        else:
            _print_time_line(played.lines, progress, played.sizes)
    finally:
        gc.enable()
    if picture is not None:
        drawn = draw(
            progress,
            title=f"plan {played.plan}",
            windows=played.windows,
            freezes=played.freezes,
            due=played.due,
        )
        write_bytes(picture, drawn.encode())


def _scenario(file: Path, seed: int | None) -> Played:
    document = parsed(file, LARGEST_SCENARIO)
    try:
        return of_scenario(scenario_from_json(document), seed)
    except InputError as error:
        raise InputError({f"{file}: {at}": why for at, why in error.problems.items()}) from error


def _print_log(lines: Iterable[Line], progress: Progress) -> None:
    for line in lines:
        progress.add(line)
        sys.stdout.write(line.text())  # `echo` would flush half a million times


def _print_time_line(lines: Iterable[Line], progress: Progress, sizes: Mapping[str, int]) -> None:
    """Print what happened to the plan and its rings, and the hosts that went wrong."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in sizes}
    wrong = 0
    for line in lines:
        progress.add(line)
        if line.host:
            counts[line.ring][line.kind] += 1
            wrong += line.kind in _WRONG
            if line.kind not in _WRONG or wrong > MOST_HOST_LINES:
                continue
        said = " ".join(filter(None, (line.ring, line.host, line.kind.replace("_", " "))))
        click.echo(f"{instant(line.time)}  {said}{f': {line.reason}' if line.reason else ''}")
    if wrong > MOST_HOST_LINES:
        click.echo(f"and {wrong - MOST_HOST_LINES} more hosts that went wrong; --json has all")
    click.echo("")
    kinds = ("dispatched", "started", "succeeded", "verified", "failed", "timed_out", "lost")
    show_table(("ring", "hosts", *kinds), _totals(sizes, counts, kinds))


def _totals(
    sizes: Mapping[str, int], counts: Mapping[str, Counter[str]], kinds: Sequence[str]
) -> list[tuple[object, ...]]:
    return [(name, hosts, *(counts[name][kind] for kind in kinds)) for name, hosts in sizes.items()]
