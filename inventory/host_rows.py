"""A host's own row: how it begins, and which platform it is of."""

from datetime import datetime

import numpy as np
from sqlalchemy.orm import Session

from inventory import host_sets, sets
from patchmgr.db import models, package_sets
from patchmgr.domain import os_names
from patchmgr.domain.packages import Platform, entitled, platform


def new_host(name: str, now: datetime) -> models.Host:
    """Return a host of which nothing but its name is known."""
    return models.Host(
        hostname=name,
        external_id=None,
        os_id="",
        os_release="",
        platform="",
        arch="",
        environment="",
        site="",
        owner="",
        criticality="",
        exposure="",
        ring="",
        window="",
        tags=[],
        entitlements=[],
        package_set_id=None,
        judged_set_id=None,
        counted_set_id=None,
        reported_at=None,
        running_kernel="",
        reboot_pending=False,
        held=[],
        source="",
        created_at=now,
        updated_at=now,
        retired_at=None,
        machine_id="",
        product_uuid="",
        boot_id="",
        reported_name="",
        first_address="",
        last_address="",
        report_digest=None,
    )


def judged_platform(host: models.Host) -> Platform:
    """Return the platform that advisories judge what ``host`` has installed by."""
    return entitled(Platform(host.platform), host.entitlements)


def set_platform(
    session: Session, row: models.Host, system: str, now: datetime, *, is_given: bool = True
) -> None:
    """Let a host be of the ``system`` that it says, if it says one."""
    os_id, _, os_release = system.partition(":")
    where = platform(os_id, os_release)
    is_known = not is_given and os_names.agree(row.platform, where)
    if os_id and row.platform != where and not is_known:
        row.os_id, row.os_release, row.platform = os_id, os_release, where
        row.updated_at = now
        session.flush()
        move_platform(session, row, now)
    session.flush()


def move_platform(session: Session, host: models.Host, now: datetime) -> None:
    """Restate what ``host`` has installed as versions of its new platform, after an upgrade."""
    if host.package_set_id is None:
        return
    members = package_sets.members_of(session, host.package_set_id)
    packages = [sets.package(row) for row in sets.packages_of(session, members)]
    encoded = sets.encode(session, judged_platform(host), packages)
    (set_id,) = sets.store(session, encoded, [np.arange(len(packages))], now)
    host_sets.point(session, [(host.id, set_id)], now)
