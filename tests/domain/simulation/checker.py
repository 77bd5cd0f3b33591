"""Judges an event log by rules of its own: it reads the JSON lines and the scenario, no more.

It knows nothing of the machine: windows come from `dateutil` on the zone's wall clock, all else is
counted from the lines.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

AT_WORK_ENDS = ("succeeded", "failed", "timed_out", "recalled", "deferred", "not_begun",
                "rolled_back", "skipped", "verified")  # fmt: skip
NEED = {"expected": 30, "reboot_reserve": 15}


def minutes(text, default):
    if text is None:
        return default
    unit = {"m": 1, "h": 60, "d": 1440}[text[-1]]
    return int(text[:-1]) * unit


def at(text):
    return datetime.fromisoformat(text)


def is_open(window, zone, when, need):
    """Return whether ``window`` is open at ``when`` and for ``need`` minutes more."""
    wall = when.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    rule = rrulestr(window["rrule"], dtstart=datetime(2026, 1, 5))  # noqa: DTZ001 -- a wall clock
    length = timedelta(minutes=minutes(window["duration"], 0))
    for start in rule.between(wall - timedelta(days=2), wall + timedelta(days=1), inc=True):
        opens = start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if opens <= when and when + timedelta(minutes=need) <= opens + length:
            return True
    return False


class Checker:
    """Takes the lines in order; ``broken`` says which rule each bad line breaks."""

    def __init__(self, scenario, hosts, limits=None, orders=()):
        """``hosts`` is name -> (window, zone); ``limits`` is group -> hosts that may be down."""
        self.scenario, self.hosts, self.limits = scenario, hosts, limits or {}
        self.orders = orders  # lists of hosts that must begin one after another
        self.rings = {ring["name"]: ring for ring in scenario["rings"]}
        self.windows = {one["name"]: one for one in scenario.get("windows", [])}
        self.broken = []
        self.state = "draft"
        self.at_work = defaultdict(set)
        self.down = defaultdict(set)
        self.open_orders, self.begun = set(), []
        self.passed = []
        self.probed = Counter()
        self.last = None

    def check(self, line):
        when = at(line["time"])
        if self.last and when < self.last:
            self.bad(line, "time goes back")
        self.last = when
        assert list(line) == ["time", "plan", "ring", "host", "group", "kind", "reason"]
        getattr(self, f"on_{line['kind']}", lambda *_: None)(line, when)
        if line["host"]:
            self.count(line)

    def bad(self, line, why):
        self.broken.append((why, line))

    def on_approved(self, line, when):
        self.state = "approved"

    def on_plan_started(self, line, when):
        if self.state != "approved":
            self.bad(line, "not approved")
        self.state = "running"

    def on_resumed(self, line, when):
        self.state = "running"

    def on_paused(self, line, when):
        self.state = "paused"

    on_halted = on_cancelled = on_completed = on_paused

    def on_ring_started(self, line, when):
        names = list(self.rings)
        missing = set(names[: names.index(line["ring"])]) - set(self.passed)
        if missing:
            self.bad(line, f"{missing} have not passed")

    def on_ring_passed(self, line, when):
        self.passed.append(line["ring"])

    on_ring_skipped = on_ring_passed

    def on_dispatched(self, line, when):
        if self.state != "running":
            self.bad(line, f"the plan is {self.state}")
        self.may_change(line, when)
        if line["host"] in self.open_orders:
            self.bad(line, "has an order already")
        self.open_orders.add(line["host"])
        for order in self.orders:
            if line["host"] in order:
                place = order.index(line["host"])
                if not set(order[:place]) <= set(self.begun):
                    self.bad(line, "comes before its turn")

    def on_started(self, line, when):
        if line["host"] not in self.open_orders:
            self.bad(line, "begins without an order")
        if self.state != "running":
            self.bad(line, f"begins while the plan is {self.state}")
        self.open_orders.discard(line["host"])
        self.begun.append(line["host"])
        self.may_change(line, when)

    def on_recalled(self, line, when):
        self.open_orders.discard(line["host"])

    on_not_begun = on_deferred = on_timed_out = on_recalled

    def may_change(self, line, when):
        """Whether a host may begin now and end in time."""
        ring = self.rings[line["ring"]]
        need = sum(minutes(ring.get(name), usual) for name, usual in NEED.items())
        for freeze in self.scenario.get("freezes", []):
            if when < at(freeze["until"]) and when + timedelta(minutes=need) > at(freeze["from"]):
                self.bad(line, "inside a freeze")
        window, zone = self.hosts[line["host"]]
        if window and ring.get("window", "own") == "own":
            found = self.windows[window]
            if not is_open(found, zone or found.get("zone", "UTC"), when, need):
                self.bad(line, "out of its window")

    def count(self, line):
        """Keep the budgets of rings and groups, as the log tells them."""
        host, kind, group = line["host"], line["kind"], line["group"]
        ring = self.at_work[line["ring"]]
        if kind == "dispatched":
            ring.add(host)
            self.down[group].add(host)
        elif kind in AT_WORK_ENDS:
            ring.discard(host)
        if kind in ("verified", "recalled", "deferred", "not_begun", "host_acknowledged",
                    "retried", "rolled_back", "skipped"):  # fmt: skip
            self.down[group].discard(host)
        if len(ring) > self.rings[line["ring"]].get("max_concurrent", 100):
            self.bad(line, "too many at work")
        if group in self.limits and len(self.down[group]) > self.limits[group]:
            self.bad(line, "too many of a group are down")
