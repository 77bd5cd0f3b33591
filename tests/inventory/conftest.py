"""Files as people have them, and what the inventory then holds."""

import pytest
from sqlalchemy import func, select

from inventory import host_import, package_import, sets, submissions
from patchmgr.db import models, package_sets

INVENTORY = (
    models.Host,
    models.PackageVersion,
    models.PackageSet,
    models.HostPackageSet,
)


class Inventory:
    """Brings files in and tells what is stored; each call is at `now` unless told otherwise."""

    def __init__(self, db, folder, now):
        self.db, self.folder, self.now = db, folder, now

    def file(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def hosts(self, text, **options):
        given = {"actor": "test", "now": self.now} | options
        return host_import.import_hosts(self.db, self.file("hosts.csv", text), **given)

    def packages(self, text, **options):
        given = {"actor": "test", "now": self.now} | options
        return package_import.import_packages(self.db, self.file("packages.csv", text), **given)

    def report(self, host, text, os="debian:12", **options):
        given = {"actor": "test", "now": self.now, "format": "dpkg"} | options
        return submissions.submit_report(self.db, host=host, os=os, text=text, **given)

    def host(self, name):
        with self.db.reading() as session:
            return session.scalar(select(models.Host).where(models.Host.hostname == name))

    def names(self):
        with self.db.reading() as session:
            query = select(models.Host.hostname).order_by(models.Host.hostname)
            return list(session.scalars(query.where(models.Host.retired_at.is_(None))))

    def installed(self, name):
        """Return "package version" of what a host has, sorted."""
        with self.db.reading() as session:
            query = select(models.Host.package_set_id).where(models.Host.hostname == name)
            members = package_sets.members_of(session, session.scalar(query))
            rows = sets.packages_of(session, members)
            return sorted(f"{row.name} {row.version}" for row in rows)

    def history(self, name):
        """Return (since, until) of the package sets that a host had."""
        past = models.HostPackageSet
        with self.db.reading() as session:
            query = (
                select(past.since, past.until)
                .join(models.Host, models.Host.id == past.host_id)
                .where(models.Host.hostname == name)
                .order_by(past.since, past.id)
            )
            return [tuple(row) for row in session.execute(query)]

    def size(self):
        """Return how many rows each table of the inventory has."""
        with self.db.reading() as session:
            return {
                model.__tablename__: session.scalar(select(func.count()).select_from(model))
                for model in INVENTORY
            }


@pytest.fixture
def inventory(db, tmp_path, now):
    return Inventory(db, tmp_path, now)


@pytest.fixture
def on_sqlite(sqlite_db, tmp_path, now):
    """For rules that no database has a part in."""
    return Inventory(sqlite_db, tmp_path, now)
