"""What people send in place of a listing that is read: told by its look, with what to send instead.

These are refused rather than read where they cut names off, leave versions out, or speak of more
than what is installed.
"""

import re

_DPKG = "send dpkg-query's output, or /var/lib/dpkg/status (docs/inventory.md has the command)"
_RPM = "send the output of rpm -qa (docs/inventory.md has the format)"

_LOOKS: tuple[tuple[str, str], ...] = (  # what some line has, and what the text is then
    (
        r"^\|\|/ Name |^[uihrp][ncHUFWti]R?  +\S+ +\S+ +\S+ ",
        f"is dpkg -l, which cuts names off; {_DPKG}",
    ),
    (
        r"^[a-z0-9][\w+.:-]*\t+(?:install|deinstall|hold|purge)$",
        f"is dpkg --get-selections, which names no versions; {_DPKG}",
    ),
    (
        r"^[a-z0-9][\w+.-]*/\S+ \S+ \S+ \[",
        f"is apt list, which names no sources; {_DPKG}",
    ),
    (
        r"^[^\s-]++-[^\s-]*+-\S++ {2,}\w{3} (?:\w{3} | *\d+ )",
        f"is rpm -qa --last; {_RPM}",
    ),
    (
        r"^(?:Installed|Available) Packages$|^\S+\.(?:noarch|x86_64|aarch64) +\S+ +@",
        f"is a list of dnf or yum; {_RPM}",
    ),
    (r"^[Si]\+? *\| (?:Name|\S+) +\| ", f"is a list of zypper; {_RPM}"),
    (r"^Name +: \S+\n(?:Epoch +: .*\n)?Version +: ", f"is rpm -qai; {_RPM}"),
    (
        r"^error: (?:rpmdb|cannot open)",
        f"is an error of rpm, and no listing; mend its database (rpm --rebuilddb), then {_RPM}",
    ),
    (
        r"^# packages in environment at ",
        "is conda list; send pip list --format=json of that environment",
    ),
    (r"^\+-{3,}\+", "is a table for people; ask the tool for JSON (osqueryi --json)"),
    (
        r"\A(?=.*\bname\b)(?=.*\bversion\b)[a-z_0-9]+(?:\|[a-z_0-9]+)+\n",
        "is osquery's CSV; ask it for JSON (osqueryi --json)",
    ),
    (
        r'\A\s*\[\s*\{[^{}]*"version"',
        (
            "is a list of names and versions of which it is not certain that pip wrote it; name the"
            " format pip if it did, and ask osquery for all columns (SELECT * FROM deb_packages)"
        ),
    ),
    (r"^SPDXVersion: ", "is SPDX in tag-value form; export the document as SPDX 2.3 JSON"),
    (r"<spdxVersion>SPDX-", "is SPDX in XML; export the document as SPDX 2.3 JSON"),
    (r"^(?:SPDXID|spdxVersion): ", "is SPDX in YAML; export the document as SPDX 2.3 JSON"),
    (
        r"spdx\.org/rdf/terms#",
        "is SPDX in RDF; export the document as SPDX 2.3 JSON",
    ),
    (
        r'"https://spdx\.org/rdf/3|/spdx-context\.jsonld"|"(?:@type|type)"\s*:\s*"SpdxDocument"',
        "is SPDX 3; export the document as SPDX 2.3 JSON",
    ),
    (
        r'"artifacts"\s*:|"SchemaVersion"\s*:',
        "is a scanner's own JSON; export it as CycloneDX or SPDX 2.3, JSON",
    ),
    (
        r"(?i)\A\s*<(?:!doctype html|html|head|body)\b",
        "is a web page, perhaps that of a sign-in; send the listing itself",
    ),
    (
        r"\A\s*<\?xml ",
        "is XML of a kind that is not read; send a listing, or an SBOM (CycloneDX)",
    ),
    (
        r"\A\ufeff?[\w ,;|\t\"]*\bhostname\b[\w ,;|\t\"]*$",
        "is a table of hosts or packages; hosts import or packages import reads it",
    ),
    (r"^(?:PLAY|TASK) \[", "is the log of a playbook; send the result of package_facts alone"),
    (
        r"^(?:---\n)?(?:ansible_facts|packages|ansible_packages):$",
        "is YAML; send the facts as JSON",
    ),
    (
        r"^[\w.+-]+ (?:\d+:)?[\d.]\S*-\d+(?:\.\d+)?$",
        (
            "names versions and no architectures, as pacman -Q does, which is not read: send an"
            " SBOM (CycloneDX or SPDX 2.3, JSON); if it is dpkg's, name the format dpkg, or "
            f"{_DPKG}"
        ),
    ),
)
_BEGINNING = 1 << 16  # characters looked at


def what(text: str) -> str:
    """Return what ``text`` is and what to send instead; "" for what is not known."""
    if not text.strip():
        return "is empty; send what the command prints (docs/inventory.md has it)"
    beginning = text[:_BEGINNING]
    return next((is_ for look, is_ in _LOOKS if re.search(look, beginning, re.MULTILINE)), "")
