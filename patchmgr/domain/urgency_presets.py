"""Decision tables that others made, ready to put in force. To add one, add it to `PRESETS`.

Sources:

- CISA BOD 26-04, remediation timelines: CERT/CC's decision table ``DT_BOD2604`` 1.0.0 in
  https://github.com/CERTCC/SSVC (data/csv/cisa/cisa_bod_26_04_1_0_0.csv). A row here is named by
  the number of its row there.
- PCI DSS 4.0, requirement 6.3.3: critical or high-security patches within one month of release,
  all other applicable ones within an appropriate time, "for example, within three months".
- Cyber Essentials, requirements for IT infrastructure 3.1, "security update management": within 14
  days of release what the vendor calls critical or high risk, what has a CVSS v3 base score of 7 or
  above, and what the vendor gives no details of.
"""

from patchmgr.domain.advisories import Severity
from patchmgr.domain.urgency import Clock, Policy, Row


def _severity(severity: Severity, days: int, label: str) -> Row:
    return Row(f"severity-{severity.word}", {"severity": (severity.word,)}, days, label)


SEVERITY = Policy(
    name="severity",
    version=1,
    rows=(
        _severity(Severity.CRITICAL, 7, "Critical: within 7 days"),
        _severity(Severity.HIGH, 14, "High: within 14 days"),
        _severity(Severity.MEDIUM, 30, "Medium: within 30 days"),
        _severity(Severity.LOW, 90, "Low: within 90 days"),
        _severity(Severity.UNKNOWN, 30, "Not rated yet: as medium, within 30 days"),
        Row("otherwise", {}, None, "Negligible: with the next regular upgrade"),
    ),
)

# Row -> in KEV, publicly exposed, automatable, technical impact, days. None: on system upgrade.
_BOD_26_04 = (
    ("no", "no", "no", "partial", None),
    ("yes", "no", "no", "partial", 14),
    ("no", "yes", "no", "partial", 60),
    ("no", "no", "yes", "partial", 60),
    ("no", "no", "no", "total", None),
    ("yes", "yes", "no", "partial", 14),
    ("yes", "no", "yes", "partial", 14),
    ("no", "yes", "yes", "partial", 14),
    ("yes", "no", "no", "total", 14),
    ("no", "yes", "no", "total", 14),
    ("no", "no", "yes", "total", 60),
    ("yes", "yes", "yes", "partial", 3),
    ("yes", "yes", "no", "total", 3),
    ("yes", "no", "yes", "total", 3),
    ("no", "yes", "yes", "total", 3),
    ("yes", "yes", "yes", "total", 3),
)
_FORENSIC = (12, 13, 15)  # rows that want the asset looked at for signs of compromise as well
_EXPOSURE = {"yes": "public", "no": "internal"}
_UPGRADE = "Fix on system upgrade"


def _bod(number: int) -> Row:
    kev, exposed, automatable, impact, days = _BOD_26_04[number]
    forensic = " & forensic investigation" if number in _FORENSIC else ""
    return Row(
        f"bod-26-04-{number}",
        {
            "kev": (kev,),
            "exposure": (_EXPOSURE[exposed],),
            "automatable": (automatable,),
            "technical_impact": (impact,),
        },
        days,
        f"{days} days{forensic}" if days else _UPGRADE,
    )


def _at_least(name: str, days: int, **when: str) -> Row:
    return Row(
        f"bod-26-04-{name}",
        {each: (word,) for each, word in when.items()},
        days,
        f"{days} days at the latest, whatever is not known yet",
    )


_BOD = Policy(
    name="cisa-bod-26-04",
    version=1,
    rows=(
        *(_bod(number) for number in range(len(_BOD_26_04))),
        # Where something is not known no row of the table matches. What is known then sets the
        # latest day that the table gives for any value of the rest.
        _at_least("kev-public-automatable", 3, kev="yes", exposure="public", automatable="yes"),
        _at_least("kev-public-total", 3, kev="yes", exposure="public", technical_impact="total"),
        _at_least(
            "kev-automatable-total", 3, kev="yes", automatable="yes", technical_impact="total"
        ),
        _at_least(
            "public-automatable-total",
            3,
            exposure="public",
            automatable="yes",
            technical_impact="total",
        ),
        _at_least("kev", 14, kev="yes"),
        _at_least("public-automatable", 14, exposure="public", automatable="yes"),
        _at_least("public-total", 14, exposure="public", technical_impact="total"),
        _at_least("public", 60, exposure="public"),
        _at_least("automatable", 60, automatable="yes"),
        Row("otherwise", {}, None, f"{_UPGRADE}, as far as is known"),
    ),
)

_PCI = Policy(
    name="pci-dss-6.3.3",
    version=1,
    rows=(
        _severity(Severity.CRITICAL, 30, "Critical: within one month of release"),
        _severity(Severity.HIGH, 30, "High: within one month of release"),
        Row("otherwise", {}, 90, "All others: within three months of release"),
    ),
    clock=Clock.PUBLISHED,
)

_CYBER_ESSENTIALS = Policy(
    name="cyber-essentials",
    version=1,
    rows=(
        _severity(Severity.CRITICAL, 14, "Critical: within 14 days of release"),
        _severity(Severity.HIGH, 14, "High: within 14 days of release"),
        Row(
            "cvss-7", {"cvss_at_least": ("7.0",)}, 14, "CVSS 7 or above: within 14 days of release"
        ),
        _severity(Severity.UNKNOWN, 14, "Not rated by the vendor: within 14 days of release"),
        Row("otherwise", {}, None, "With the next regular upgrade"),
    ),
    clock=Clock.PUBLISHED,
)

PRESETS: dict[str, Policy] = {
    policy.name: policy for policy in (SEVERITY, _BOD, _PCI, _CYBER_ESSENTIALS)
}
