"""Patchman's part of ``make bench-peers``: ``peers_patchman.py FOLDER``, run by its own Python.

Takes in the report of each host below FOLDER and finds its updates, as patchman's own worker does,
on its SQLite; prints as JSON what each host cost and which of its packages have an update.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

SETTINGS = """
DEBUG = False
DATABASES = {{"default": {{"ENGINE": "patchman.sqlite3", "NAME": {name!r}}}}}
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}}
SECRET_KEY = "bench"
TIME_ZONE = "UTC"
RUN_GUNICORN = False
CELERY_TASK_ALWAYS_EAGER = True
MAX_MIRRORS = MAX_MIRROR_FAILURES = 1
DAYS_WITHOUT_REPORT = 14
"""
REPOSITORY = ["deb", "bench", "500", "http://127.0.0.1:9/bench"]  # nobody listens there


def main(folder: Path) -> None:
    settings = Path(sys.prefix) / "etc" / "patchman" / "local_settings.py"  # where it looks
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(SETTINGS.format(name=str(folder / "patchman.db")))
    os.environ["DJANGO_SETTINGS_MODULE"] = "patchman.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    read_repository((folder / "Packages").read_bytes())
    hosts = {path.stem: host(path) for path in sorted(folder.glob("*.packages"))}
    print(json.dumps(hosts))


def read_repository(packages: bytes) -> None:
    """Let the repository have ``packages``, as if it had just been refreshed."""
    from reports.utils import process_repo_text
    from repos.models import Mirror
    from repos.repo_types.deb import extract_deb_packages
    from repos.utils import update_mirror_packages

    repository, _ = process_repo_text(list(REPOSITORY), "x86_64")
    mirror = Mirror.objects.get(repo=repository)
    update_mirror_packages(mirror, extract_deb_packages(packages, "Packages"))


def host(listing: Path) -> dict[str, object]:
    """Take in the report of one host; return what that cost, and the packages with an update."""
    from hosts.models import Host
    from reports.models import Report

    report = Report.objects.create(
        host=listing.stem,
        os="Debian 12.5",
        kernel="6.1.0-18-amd64",
        arch="x86_64",
        protocol="1",
        report_ip="127.0.0.1",
        packages=listing.read_text(),
        repos=" ".join(f"'{word}'" for word in REPOSITORY),
    )
    ingest, statements = measured(lambda: report.process(find_updates=False))
    known = Host.objects.get(hostname=listing.stem)
    find, more = measured(known.find_updates)
    return {
        "ingest": ingest,
        "find": find,
        "statements": [statements, more],
        "updates": sorted({update.oldpackage.name.name for update in known.updates.all()}),
    }


def measured(call: Callable[[], object]) -> tuple[float, int]:
    """Return the CPU seconds that ``call`` takes, and its SQL statements."""
    from django.db import connection

    statements = 0

    def count(execute: Callable[..., object], *statement: object) -> object:
        nonlocal statements
        statements += 1
        return execute(*statement)

    before = time.process_time()
    with connection.execute_wrapper(count):
        call()
    return time.process_time() - before, statements


if __name__ == "__main__":
    main(Path(sys.argv[1]))
