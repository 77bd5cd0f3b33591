"""For machines: alive, ready, and numbers for Prometheus."""

from collections.abc import Iterator
from datetime import datetime

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from patchmgr.db import migrate
from patchmgr.db.queries import feeds, jobs, overview
from web.auth import public
from web.context import db, now, session, settings, viewer_or_none

pages = Blueprint("health", __name__)


@pages.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    return {"status": "alive"}


@pages.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """Answer 503 while pages could not be served: no database, or not at this program's schema.

    Whether a scheduler runs is said too, but another process may be it: pages work without.
    """
    try:
        schema = migrate.state(db())
        if not schema.is_current:
            return {"status": "not ready", "database": "ok", "migrations": "needed"}, 503
        troubles = overview.troubles(session(), now=now(), stale_hours=settings().stale_feed_hours)
    except SQLAlchemyError:
        return {"status": "not ready", "database": "no answer"}, 503
    late = any(trouble.about == "scheduler" for trouble in troubles)
    return {
        "status": "ready",
        "database": "ok",
        "migrations": "current",
        "scheduler": "not running" if late else "ok",
    }


@pages.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    """Answer with the service's numbers; those of the fleet only to whom may read it."""
    registry = CollectorRegistry()
    registry.register(_Service())
    if viewer_or_none() is not None:
        registry.register(_Fleet())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Service(Collector):
    """Feeds and jobs: whether the service does its work."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("patchmgr_up", "The service answers.", 1)
        age = GaugeMetricFamily(
            "patchmgr_feed_age_seconds", "Time since a feed's last good sync.", labels=["feed"]
        )
        failed = GaugeMetricFamily(
            "patchmgr_feed_failed", "Whether a feed's last sync failed.", labels=["feed"]
        )
        for feed in feeds.listing(session(), now=now(), stale_hours=settings().stale_feed_hours):
            failed.add_metric([feed.name], feed.state == "failed")
            if feed.succeeded_at:
                age.add_metric([feed.name], _since(feed.succeeded_at))
        yield age
        yield failed
        last = GaugeMetricFamily(
            "patchmgr_job_last_run_seconds", "Time since a job last started.", labels=["job"]
        )
        bad = GaugeMetricFamily(
            "patchmgr_job_failed", "Whether a job's last run failed.", labels=["job"]
        )
        for job in jobs.listing(session()):
            if job.last:
                last.add_metric([job.name], _since(job.last.started_at))
                bad.add_metric([job.name], job.last.state == "failed")
        yield last
        yield bad


class _Fleet(Collector):
    """The last scan's numbers."""

    def collect(self) -> Iterator[Metric]:
        trend = overview.trend(session(), now=now(), days=2)
        if not trend:
            return
        point = trend[-1]
        numbers = {
            "hosts": ("Hosts that are not retired.", point.hosts),
            "hosts_reporting": ("Hosts with a recent inventory.", point.reporting),
            "hosts_judged": ("Reporting hosts whose platform has a feed.", point.judged),
            "hosts_compliant": ("Judged hosts without overdue findings.", point.compliant),
            "findings_fixable": ("Open findings that can be fixed.", point.fixable),
            "findings_overdue": ("Open findings past their due date.", point.overdue),
        }
        for name, (text, value) in numbers.items():
            yield GaugeMetricFamily(f"patchmgr_{name}", text, value)
        by_severity = GaugeMetricFamily(
            "patchmgr_findings_open", "Open findings.", labels=["severity"]
        )
        for word, count in point.by_severity.items():
            by_severity.add_metric([word], count)
        yield by_severity
        yield GaugeMetricFamily(
            "patchmgr_scan_age_seconds", "Time since the last scan.", _since(point.at)
        )


def _since(at: datetime) -> float:
    return (now() - at).total_seconds()
