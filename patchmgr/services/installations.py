"""How many hosts have each package, and each version of it, kept as hosts change (ADR 0008).

A host is counted with the set that ``Host.counted_set_id`` names. Whoever gives hosts another set,
retires them or takes them back calls `count` in the same transaction; it looks at what they are
counted with and what they have, and adds the difference. For one host of which the caller knows
both, `change` looks only at what differs.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from patchmgr.db import models, package_counts
from patchmgr.db.base import Base, table_of
from patchmgr.db.bulk import IN_LIST, among, in_lists
from patchmgr.db.package_counts import Counts, Kind
from patchmgr.db.package_sets import Ids

SHOWN = 5  # of what is wrong

host, version = models.Host, models.PackageVersion
_HAS = case((host.retired_at.is_(None), host.package_set_id))  # the set to be counted with


def count(session: Session, host_ids: Collection[int]) -> None:
    """Bring the counts up to date with what these hosts have now."""
    session.flush()
    wanted = among(session, host.id, host_ids)
    moves = select(host.counted_set_id, _HAS).where(
        wanted, host.counted_set_id.is_distinct_from(_HAS)
    )
    weights: dict[int, int] = defaultdict(int)
    moved = session.execute(moves).all()
    for before, after in moved:
        for set_id, weight in ((before, -1), (after, 1)):
            if set_id is not None:
                weights[set_id] += weight
    if not moved:
        return
    _add(session, package_counts.weighed(session, weights))
    session.execute(
        update(host)
        .where(wanted)
        .values(counted_set_id=_HAS)
        .execution_options(synchronize_session=False)
    )


def change(session: Session, before: Ids, after: Ids) -> None:
    """Count a host that had ``before`` and has ``after``; the caller notes what it is counted with.

    At most two queries for what differs, where `count` reads the whole of both sets.
    """
    gone, came = np.setdiff1d(before, after), np.setdiff1d(after, before)
    differing = among(session, version.id, [*gone.tolist(), *came.tolist()])
    kinds = package_counts.kinds_of(session, differing)
    lost, gained = ({kinds[each] for each in ids.tolist()} for ids in (gone, came))
    kept = np.intersect1d(before, after)
    lost, gained = lost - gained, gained - lost
    beside = _among_kept(session, lost | gained, kept)
    found = Counts()
    found.versions.update(dict.fromkeys(gone.tolist(), -1) | dict.fromkeys(came.tolist(), 1))
    found.software.update(dict.fromkeys(lost - beside, -1) | dict.fromkeys(gained - beside, 1))
    _add(session, found)


def _among_kept(session: Session, kinds: Collection[Kind], kept: Ids) -> set[Kind]:
    """Return the ``kinds`` that ``kept`` has members of: of another version or architecture."""
    found: set[Kind] = set()
    if not len(kept):
        return found
    stays = set(kept.tolist())
    for names in in_lists(sorted({name for *_, name in kinds})):
        rows = package_counts.kinds_of(session, version.name.in_(names))
        found.update(kind for number, kind in rows.items() if number in stays)
    return found


def rebuild(session: Session) -> None:
    """Count everything anew, whatever the counts said."""
    for model in (models.VersionCount, models.Software):
        session.execute(delete(model))
    session.execute(update(host).values(counted_set_id=_HAS))
    _add(session, _recounted(session))


def wrong(session: Session) -> list[str]:
    """Return what the counts say that is not so: at most a few of each kind."""
    true = _recounted(session)
    count_, software = models.VersionCount, models.Software
    stored: dict[Any, int] = {
        row[0]: row[1] for row in session.execute(select(count_.package_version_id, count_.hosts))
    }
    found = _differing("package version", stored, true.versions)
    columns = (software.platform, software.manager, software.name, software.hosts)
    stored = {tuple(row[:3]): row[3] for row in session.execute(select(*columns))}
    found += _differing("package", stored, true.software)
    behind = select(host.hostname).where(host.counted_set_id.is_distinct_from(_HAS))
    names = session.scalars(behind.order_by(host.hostname).limit(SHOWN))
    return found + [f"counts: host {name} is not counted with what it has" for name in names]


def _differing(what: str, stored: Mapping[Any, int], true: Mapping[Any, int]) -> list[str]:
    keys = [key for key in stored.keys() | true.keys() if stored.get(key, 0) != true.get(key, 0)]
    return [
        f"counts: {what} {' '.join(key) if isinstance(key, tuple) else key} is said to be on"
        f" {stored.get(key, 0)} hosts, and is on {true.get(key, 0)}; patchmgr db recount"
        for key in sorted(keys)[:SHOWN]
    ]


def _recounted(session: Session) -> Counts:
    weights: dict[int, int] = defaultdict(int)
    for set_id in session.scalars(select(_HAS).where(_HAS.is_not(None))):
        weights[set_id] += 1
    return package_counts.weighed(session, weights)


def _add(session: Session, change: Counts) -> None:
    """Add to the stored counts, in the order of their keys: two at once cannot wait in a ring."""
    _add_to(
        session,
        models.VersionCount,
        [
            {"package_version_id": number, "hosts": more}
            for number, more in sorted(change.versions.items())
            if more
        ],
    )
    _add_to(
        session,
        models.Software,
        [
            {"platform": where, "manager": manager, "name": name, "hosts": more}
            for (where, manager, name), more in sorted(change.software.items())
            if more
        ],
    )


def _add_to(session: Session, model: type[Base], rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = table_of(model)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    connection = session.connection()
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"hosts": table.c.hosts + statement.excluded.hosts},
        ),
        rows,
    )
    fewer = [row for row in rows if row["hosts"] < 0]
    if len(fewer) > IN_LIST:
        connection.execute(delete(table).where(table.c.hosts == 0))
    elif fewer:
        keys = [column == bindparam(f"b_{column.name}") for column in table.primary_key.columns]
        gone = [{f"b_{name}": value for name, value in row.items()} for row in fewer]
        connection.execute(delete(table).where(*keys, table.c.hosts == 0), gone)
