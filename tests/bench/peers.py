"""``make bench-peers``: a few hosts of the fleet given to others and to us, in one run.

Every peer gets the same hosts and knows the same: a repository with the newest version of each
package, and which version of which source fixes each flaw. Asked is which packages have an update
(patchman), and which flaws are on which host (debsecan). CPU seconds of one host are compared, and
the answers. A peer that cannot be installed here is named with the reason.

vmaas is not among them: it is a service of several parts, and judges rpm only.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from generate import Shape, generate  # beside this file, as the others
from steps import THEN
from stores import Store, environment, opened

from patchmgr.domain.versions import SCHEMES

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"  # which has python3-apt, as debsecan wants
HOSTS = 5

Answers = frozenset[tuple[str, ...]]  # (host, package), or (host, package, CVE)


class NotHereError(Exception):
    """A peer cannot be measured on this machine; the text says why."""


@dataclass(frozen=True)
class Result:
    """What one host cost somebody, and what was answered of all."""

    who: str
    what: str
    seconds: list[float]  # CPU, by host
    note: str = ""
    answers: Answers = field(default=frozenset(), repr=False)

    @property
    def typical(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Package:
    """A row of packages.csv."""

    name: str
    version: str
    arch: str
    source: str


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("environment", type=Path, help="where peers are installed, and stay")
    asked.add_argument("--hosts", type=int, default=HOSTS)
    asked.add_argument("--json", type=Path, help="where to write the figures besides")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="patchmgr-bench-") as name:
        folder = Path(name)
        fleet = generate(folder, Shape(options.hosts))
        hosts = read(fleet.packages)
        flaws = json.loads(fleet.feed.read_text())
        write(folder, hosts, flaws)
        with opened("sqlite", folder) as store:
            results, missing = ours(store, folder, hosts), {}
        for peer, measure in {"patchman": patchman, "debsecan": debsecan}.items():
            try:
                results += measure(options.environment.absolute(), folder)
            except NotHereError as why:
                missing[peer] = str(why)
    same = agreement(results)
    show(results, missing, same)
    if options.json:
        figures = [asdict(each) | {"answers": len(each.answers)} for each in results]
        document = {"hosts": options.hosts, "results": figures, "missing": missing, "same": same}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if not all(same.values()):
        sys.exit(1)


# --- the hosts, in everybody's form ---------------------------------------------------------------


def read(path: Path) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            package = Package(row["name"], row["version"], row["arch"], row["source"])
            found.setdefault(row["hostname"], []).append(package)
    return found


def write(
    folder: Path, hosts: Mapping[str, list[Package]], flaws: Mapping[str, Mapping[str, object]]
) -> None:
    """Write what each peer reads: hosts, the repository, and what debsecan knows of flaws."""
    newest: dict[tuple[str, str], Package] = {}
    for name, packages in hosts.items():
        (folder / f"{name}.status").write_text("\n".join(map(stanza, packages)))
        (folder / f"{name}.packages").write_text("".join(map(reported, packages)))
        for package in packages:
            known = newest.setdefault((package.name, package.arch), package)
            if key(package.version) > key(known.version):
                newest[package.name, package.arch] = package
    (folder / "Packages").write_text("\n".join(map(stanza, newest.values())))
    names, lines = [], []
    for source, cves in flaws.items():
        for cve, flaw in cves.items():
            fixed = flaw["releases"]["bookworm"]["fixed_version"]
            lines.append(f"{source},{len(names)},SM F,{fixed},\n")
            names.append(f"{cve},,a flaw\n")
    known_flaws = "VERSION 1\n" + "".join(names) + "\n" + "".join(lines) + "\n\n"
    (folder / "GENERIC").write_bytes(zlib.compress(known_flaws.encode()))


key = SCHEMES["dpkg"]


def stanza(package: Package) -> str:
    """Return a package as dpkg's status and apt's Packages have it."""
    return (
        f"Package: {package.name}\nStatus: install ok installed\nVersion: {package.version}\n"
        f"Architecture: {package.arch}\nSource: {package.source}\nMaintainer: nobody\n"
        f"Filename: pool/{package.name}.deb\nDescription: of the bench\n"
    )


def reported(package: Package) -> str:
    """Return a package as patchman's client reports it."""
    epoch, _, rest = package.version.rpartition(":")
    upstream, _, revision = rest.rpartition("-")
    return f"'{package.name}' '{epoch}' '{upstream}' '{revision}' '{package.arch}' 'deb'\n"


# --- who is measured ------------------------------------------------------------------------------


def ours(store: Store, folder: Path, hosts: Mapping[str, list[Package]]) -> list[Result]:
    """Take in each host's report and scan them, in processes that have the program loaded."""
    report = ("report", "submit", "--os", "debian:12", "--format", "dpkg", "--host")
    calls = [(*report, name, str(folder / f"{name}.status")) for name in hosts]
    step(store, *calls[0])
    reports = [step(store, *before, THEN, *call) for before, call in pairwise(calls)]
    archive = ("--from", str(folder / "Packages"), "--platform", "debian:12")
    program(store, "feeds", "sync", "archive", *archive)
    program(store, "feeds", "sync", "debian", "--from", str(folder / "feed.json"))
    scan = [step(store, "scan") / len(hosts)]
    rows = csv.DictReader(program(store, "findings", "--format", "csv").splitlines())
    found = frozenset((row["host"], row["package"], row["advisory"]) for row in rows)
    updates = frozenset((name, each) for name in hosts for each in updates_of(store, name))
    return [
        Result("patchmgr", "report", reports),
        Result("patchmgr", "updates", scan, "one scan of all hosts", updates),
        Result("patchmgr", "flaws", scan, "the same scan", found),
    ]


def step(store: Store, *call: str) -> float:
    """Return the CPU seconds of the last command of ``call``."""
    done = subprocess.run(
        [sys.executable, HERE / "steps.py", *call],
        check=True,
        env=environment(store),
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])[1])


def program(store: Store, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "patchmgr", *command],
        check=True,
        env=environment(store),
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def updates_of(store: Store, host: str) -> list[str]:
    shown = json.loads(program(store, "hosts", "show", host, "--json"))
    return [update["package"] for update in shown["updates"]]


def patchman(environment: Path, folder: Path) -> list[Result]:
    """Install patchman below ``environment`` unless it is there; let it work."""
    python = environment / "patchman" / "bin" / "python"
    if not python.exists():
        tried(sys.executable, "-m", "venv", str(environment / "patchman"))
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    tried(*pip, "install", "-r", str(HERE / "peers.txt"))
    said = tried(str(python), "-I", str(HERE / "peers_patchman.py"), str(folder))
    hosts = json.loads(said.splitlines()[-1])
    updates = frozenset((name, each) for name, host in hosts.items() for each in host["updates"])
    ingest, find = zip(*(host["statements"] for host in hosts.values()), strict=True)
    return [
        Result("patchman", "report", [h["ingest"] for h in hosts.values()], statements_of(ingest)),
        Result(
            "patchman", "updates", [h["find"] for h in hosts.values()], statements_of(find), updates
        ),
    ]


def statements_of(numbers: tuple[int, ...]) -> str:
    return f"{min(numbers):,} to {max(numbers):,} SQL statements"


def debsecan(environment: Path, folder: Path) -> list[Result]:
    """Unpack Debian's debsecan below ``environment`` unless it is there; ask it of each host."""
    program = shutil.which("debsecan") or str(environment / "debsecan" / "usr" / "bin" / "debsecan")
    if not Path(program).exists():
        environment.mkdir(parents=True, exist_ok=True)
        tried("apt-get", "download", "debsecan", folder=environment)
        (archive,) = environment.glob("debsecan_*.deb")
        tried("dpkg-deb", "-x", str(archive), str(environment / "debsecan"))
    tried(SYSTEM_PYTHON, "-c", "import apt_pkg")
    seconds, found = [], set()
    for status in sorted(folder.glob("*.status")):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = tried(
            *(SYSTEM_PYTHON, program, "--config", os.devnull, "--format", "simple"),
            *("--source", folder.as_uri(), "--status", str(status)),
            *("--history", str(folder / "history"), "--whitelist", str(folder / "whitelist")),
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        for line in said.splitlines():
            cve, package = line.split()
            found.add((status.stem, package, cve))
    return [Result("debsecan", "flaws", seconds, "a process for each host", frozenset(found))]


def tried(*command: str, folder: Path | None = None) -> str:
    """Return what a command prints. Raises `NotHereError` when it fails or does not exist."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
    except FileNotFoundError as error:
        raise NotHereError(f"there is no {command[0]}") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or error.stdout.strip() or "no word").splitlines()[-1]
        raise NotHereError(f"{' '.join(command)[:80]} ended with {said}") from error
    return done.stdout


# --- what came of it ------------------------------------------------------------------------------


def agreement(results: list[Result]) -> dict[str, bool]:
    """Return for each peer's answers whether they are ours; say what only one of us found."""
    mine = {each.what: each.answers for each in results if each.who == "patchmgr"}
    same = {}
    for each in results:
        if each.who == "patchmgr" or not each.answers:
            continue
        same[f"{each.who}, {each.what}"] = each.answers == mine[each.what]
        for who, only in (
            (each.who, each.answers - mine[each.what]),
            ("patchmgr", mine[each.what] - each.answers),
        ):
            for answer in sorted(only)[:5]:
                print(f"only {who} has {' '.join(answer)} ({len(only)} such)", file=sys.stderr)
    return same


def show(results: list[Result], missing: Mapping[str, str], same: Mapping[str, bool]) -> None:
    mine = {each.what: each.typical for each in results if each.who == "patchmgr"}
    print(f"\n{'who':10} {'what':8} {'CPU s a host':>12} {'times ours':>10} {'answers':>8}")
    for each in results:
        times = each.typical / mine[each.what]
        answers = f"{len(each.answers):8}" if each.answers else " " * 8
        print(
            f"{each.who:10} {each.what:8} {each.typical:12.4f} {times:10.1f} {answers}  {each.note}"
        )
    for answers, agreed in same.items():
        print(f"{answers}: {'the same answers as ours' if agreed else 'OTHER answers than ours'}")
    for peer, why in missing.items():
        print(f"{peer}: not measured, {why}")


if __name__ == "__main__":
    main()
