"""``make mutation``: change the matcher, one place at a time, and see that a test notices.

mutmut makes the changes and runs the tests that come by each of them; what it changes, and which
tests there are, is in pyproject.toml. It is told here to change three more things, of which a
matcher is made: a comparison becomes its opposite, a condition is turned round, a status becomes
each of the others.

mutmut leaves decorated functions alone, and these include the heart of every version scheme. So it
gets a copy in which they are plain: without a cache, which changes no answer, and as a property
that calls a method. The copy, and all that mutmut writes beside it, is gone afterwards.
"""

import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from mutmut.__main__ import cli, collect_source_file_mutation_data
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[2]
COPIED = ("patchmgr", "tests", "pyproject.toml")
UNSEEN = shutil.ignore_patterns("__pycache__", "bench")
GOAL = 0.95
NOTICED = {"killed", "timeout", "segfault"}
HEADINGS = ("module", "changes", "noticed", "not", "score")
# Not imported: what is tested is the copy.
STATUSES = ("AFFECTED", "NO_FIX", "NOT_AFFECTED", "UNDETERMINED")
_CACHE = re.compile(r"^@lru_cache\(.*\)\n", re.MULTILINE)
_PROPERTY = re.compile(r"^    @property\n    def (\w+)\(", re.MULTILINE)
_PLAIN_PROPERTY = r"    \1 = property(lambda self: self._\1())\n\n    def _\1("

OPPOSITE = {
    cst.LessThan: cst.GreaterThan,
    cst.LessThanEqual: cst.GreaterThanEqual,
    cst.GreaterThan: cst.LessThan,
    cst.GreaterThanEqual: cst.LessThanEqual,
}
_PARENTHESES = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}


def main(modules: list[str]) -> int:
    """Change ``modules``, or all of them; return an exit code: 1 below the goal."""
    if unknown := set(modules) - changed():
        sys.exit(f"no module of the matcher: {', '.join(sorted(unknown))}")
    mutation_operators.extend(
        [
            (cst.ComparisonTarget, opposite),
            (cst.Attribute, other_statuses),
            *[(kind, turned_round) for kind in (cst.If, cst.While, cst.CompIf)],
        ]
    )
    os.environ["CI"] = "1"  # the same examples for every change
    with tempfile.TemporaryDirectory(prefix="patchmgr-mutation-") as folder:
        copy(Path(folder))
        os.chdir(folder)
        names = [f"*.{module}.x*" for module in modules]
        cli(["run", *names], standalone_mode=False)
        return told(results(names))


def changed() -> set[str]:
    """Return the names of the modules that may be changed, those of packages for theirs."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    paths = [path for pattern in settings["only_mutate"] for path in ROOT.glob(pattern)]
    return {path.parent.name if path.stem == "__init__" else path.stem for path in paths}


def opposite(node: cst.ComparisonTarget) -> Iterator[cst.ComparisonTarget]:
    if made := OPPOSITE.get(type(node.operator)):
        yield node.with_changes(operator=made())


def turned_round(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    yield node.with_changes(
        test=cst.UnaryOperation(cst.Not(), node.test.with_changes(**_PARENTHESES))
    )


def other_statuses(node: cst.Attribute) -> Iterator[cst.Attribute]:
    if isinstance(node.value, cst.Name) and node.value.value == "Status":
        for status in STATUSES:
            if status != node.attr.value:
                yield node.with_changes(attr=cst.Name(status))


def copy(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=UNSEEN)
        else:
            shutil.copy(ROOT / name, folder / name)
    for path in (folder / "patchmgr" / "domain").rglob("*.py"):
        path.write_text(_PROPERTY.sub(_PLAIN_PROPERTY, _CACHE.sub("", path.read_text())))


def results(names: list[str]) -> dict[str, dict[str, str]]:
    """Return, for each module, what became of each of its changes."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for made, name, code in collect_source_file_mutation_data(mutant_names=names)[0]:
        found[str(made.path)][name] = status_by_exit_code[code]
    return found


def told(found: dict[str, dict[str, str]]) -> int:
    """Print what was not noticed, and the scores; return an exit code."""
    rows = [HEADINGS]
    total: Counter[str] = Counter()
    for path, states in sorted(found.items()):
        for name, state in states.items():
            if state not in NOTICED:
                print(f"\n{path}: {state}\n{diff(path, name)}")
        counts = Counter(states.values())
        rows.append(row(path, counts))
        total += counts
    rows.append(row("all", total))
    print()
    print(table(rows))
    return int(share(total) < GOAL)


def diff(path: str, name: str) -> str:
    """Return the lines of one change, without the head of the file."""
    return "\n".join(get_diff_for_mutant(name, path=path).splitlines()[2:])


def row(name: str, counts: Counter[str]) -> tuple[str, ...]:
    made, noticed = counts.total(), sum(counts[state] for state in NOTICED)
    return name, str(made), str(noticed), str(made - noticed), f"{share(counts):.1%}"


def share(counts: Counter[str]) -> float:
    return sum(counts[state] for state in NOTICED) / (counts.total() or 1)


def table(rows: list[tuple[str, ...]]) -> str:
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([name.ljust(first), *map(str.rjust, cells, others)]) for name, *cells in rows
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
