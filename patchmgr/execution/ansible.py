"""A plan's work as an Ansible playbook and inventory, for people who run it themselves.

The playbook upgrades exactly the packages of each host, never installs one that is not there and
never takes one back to an older version. Where a plan asks for exact versions it finds, among what
the host's repositories offer, the package that was built from the planned source version (or that
is the planned version), and installs that one. It checks with dpkg that what was asked for was
reached, reboots hosts that ask for it, and writes the results as the CSV that ``patchmgr plans
results`` takes. A host that cannot be reached has no result: its order runs out and is repeated.
The playbook carries its hosts with it, so one file is enough; the inventory says the same for those
who want it apart.

Source: the modules ansible.builtin.apt and ansible.builtin.reboot; the flag file
/run/reboot-required, as update-notifier-common and unattended-upgrades use it.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from patchmgr.domain.advisories import Match
from patchmgr.domain.plans import WorkLine
from patchmgr.domain.terms import Targets
from patchmgr.errors import InputError

# Everything that Ansible could read as a template or YAML as something else stays outside.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_@-]*", re.ASCII)
_EARLY = (1980, 1, 1, 0, 0, 0)  # one time for every file, so that equal plans give equal archives

_PLAYBOOK = """\
# Plan {plan}, made by patchmgr. Run it inside the maintenance window:
#   ansible-playbook playbook.yml
# It writes results-plan-{plan}.csv beside itself; report them with:
#   patchmgr plans results {plan} results-plan-{plan}.csv
# A host in no ring that is under way is not in this file.
- name: Hosts of plan {plan}
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    patchmgr_hosts:
{hosts}
  tasks:
    - name: Put each host into the group of its ring
      ansible.builtin.add_host:
        name: "{{{{ item.host }}}}"
        groups:
          - patchmgr_plan_{plan}
          - "{{{{ item.group }}}}"
        patchmgr_attempt: "{{{{ item.attempt }}}}"
        patchmgr_packages: "{{{{ item.packages }}}}"
      loop: "{{{{ patchmgr_hosts }}}}"
      loop_control:
        label: "{{{{ item.host }}}}"
      changed_when: false

- name: Upgrade what plan {plan} says
  hosts: patchmgr_plan_{plan}
  become: true
  gather_facts: false
  any_errors_fatal: false
  vars:
    patchmgr_reboot: true  # -e patchmgr_reboot=false leaves the reboot to you
    patchmgr_exact: {exact}  # whether the planned versions, or any newer, are asked for
  tasks:
    - name: Upgrade, check and reboot
      block:
        - name: Read the package lists of the host's own repositories
          ansible.builtin.apt:
            update_cache: true
        - name: Find the package of each exact target
          ansible.builtin.shell:
            cmd: >-
              apt-cache show "$NAME" | awk -v target="$TARGET" -v match_="$MATCH" '
              function look() {{
              if (source == "") source = version;
              if (version != "" && (match_ == "source" ? source : version) == target)
              {{ print version; found = 1; exit }}
              version = ""; source = "" }}
              /^Version: / {{ version = $2 }}
              /^Source: / {{ if (NF > 2) source = substr($3, 2, length($3) - 2) }}
              /^$/ {{ look() }}
              END {{ if (!found) look(); if (!found)
              {{ print "no repository of this host offers " target > "/dev/stderr"; exit 1 }} }}'
          environment:
            NAME: "{{{{ item.name }}}}"
            TARGET: "{{{{ item.to }}}}"
            MATCH: "{{{{ item.match }}}}"
          loop: "{{{{ patchmgr_packages if patchmgr_exact else [] }}}}"
          loop_control:
            label: "{{{{ item.name }}}}"
          register: patchmgr_found
          changed_when: false
        - name: Upgrade packages that are there
          ansible.builtin.apt:
            name: >-
              {{{{ patchmgr_found.results | map(attribute='item.name')
              | zip(patchmgr_found.results | map(attribute='stdout')) | map('join', '=') | list
              if patchmgr_exact else patchmgr_packages | map(attribute='name') | list }}}}
            state: "{{{{ 'present' if patchmgr_exact else 'latest' }}}}"
            only_upgrade: true
            allow_change_held_packages: {held}
        - name: Check that each has reached its target
          ansible.builtin.shell:
            cmd: >-
              have="$(dpkg-query --show --showformat="$FIELD" "$NAME")"
              && {{ dpkg --compare-versions "$have" "$RELATION" "$TARGET"
              || {{ echo "$NAME is at $have, wanted $TARGET" >&2; exit 1; }}; }}
          environment:
            NAME: "{{{{ item.name }}}}"
            TARGET: "{{{{ item.to }}}}"
            RELATION: "{{{{ 'eq' if patchmgr_exact else 'ge' }}}}"
            FIELD: "{{{{ '${{source:Version}}' if item.match == 'source' else '${{Version}}' }}}}"
          loop: "{{{{ patchmgr_packages }}}}"
          loop_control:
            label: "{{{{ item.name }}}}"
          changed_when: false
        - name: Look whether the host asks for a reboot
          ansible.builtin.stat:
            path: /run/reboot-required
          register: patchmgr_flag
        - name: Reboot
          ansible.builtin.reboot:
          when: patchmgr_flag.stat.exists and patchmgr_reboot | bool
        - name: Note success
          ansible.builtin.set_fact:
            patchmgr_result: installed
            patchmgr_output: ""
            patchmgr_needs_reboot: >-
              {{{{ 'yes' if patchmgr_flag.stat.exists and not patchmgr_reboot | bool else 'no' }}}}
      rescue:
        - name: Note failure
          ansible.builtin.set_fact:
            patchmgr_result: failed
            patchmgr_needs_reboot: "no"
            patchmgr_output: >-
              {{{{ ansible_failed_task.name }}}}: {{{{ ansible_failed_result.msg
              | default(ansible_failed_result.stderr) | default('') }}}}

- name: Results of plan {plan}
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    patchmgr_lines: |
      host,result,attempt,reboot,output
      {{% for host in groups['patchmgr_plan_{plan}'] | default([])
             if hostvars[host].patchmgr_result is defined %}}
      {{{{ host }}}},{{{{ hostvars[host].patchmgr_result }}}},\
{{{{ hostvars[host].patchmgr_attempt }}}},\
{{{{ hostvars[host].patchmgr_needs_reboot }}}},\
"{{{{ hostvars[host].patchmgr_output | replace('"', "'") | replace('\\n', ' ') | trim }}}}"
      {{% endfor %}}
  tasks:
    - name: Write the results
      ansible.builtin.copy:
        content: "{{{{ patchmgr_lines }}}}"
        dest: "{{{{ playbook_dir }}}}/results-plan-{plan}.csv"
        mode: "0644"
    - name: Show the results
      ansible.builtin.debug:
        msg: "{{{{ patchmgr_lines.splitlines() }}}}"
"""


def playbook(plan: int, lines: Iterable[WorkLine]) -> str:
    """Return the playbook, with its hosts. Raises `InputError` for a name it could not carry."""
    work = list(lines)
    exact = any(line.targets is Targets.EXACT for line in work)
    held = any(line.include_held for line in work)
    hosts = _hosts(work)
    entries = "\n".join(_entry(host) for host in hosts) or "      []"
    return _PLAYBOOK.format(
        plan=plan, hosts=entries, exact=_yaml(holds=exact), held=_yaml(holds=held)
    )


def _yaml(*, holds: bool) -> str:
    return "true" if holds else "false"


def _entry(host: dict[str, Any]) -> str:
    head = f"      - {{host: {json.dumps(host['host'])}, group: {json.dumps(host['group'])},"
    packages = ",\n".join(f"           {json.dumps(package)}" for package in host["packages"])
    return f"{head} attempt: {host['attempt']}, packages: [\n{packages}]}}"


def inventory(plan: int, lines: Iterable[WorkLine]) -> str:
    """Return the inventory, grouped by ring: JSON, which Ansible reads as YAML."""
    groups: dict[str, Any] = {}
    for host in _hosts(lines):
        members = groups.setdefault(host["group"], {"hosts": {}})["hosts"]
        members[host["host"]] = {
            "patchmgr_attempt": host["attempt"],
            "patchmgr_packages": host["packages"],
        }
    document = {f"patchmgr_plan_{plan}": {"children": groups}}
    return json.dumps({"all": {"children": document}}, indent=2) + "\n"


def archive(plan: int, lines: Iterable[WorkLine]) -> bytes:
    """Return playbook and inventory in a zip; equal work gives equal bytes."""
    work = list(lines)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in (
            ("playbook.yml", playbook(plan, work)),
            ("inventory.yml", inventory(plan, work)),
        ):
            packed.writestr(zipfile.ZipInfo(f"plan-{plan}/{name}", _EARLY), text)
    return body.getvalue()


def _hosts(lines: Iterable[WorkLine]) -> list[dict[str, Any]]:
    """Return each host with its packages, in the order of ``lines``."""
    by_host: dict[str, list[WorkLine]] = {}
    for line in lines:
        by_host.setdefault(line.host, []).append(line)
    hosts = []
    groups = _groups(work[0].ring for work in by_host.values())
    for name, work in by_host.items():
        count = Counter(line.package for line in work)
        hosts.append(
            {
                "host": _plain(name),
                "group": groups[work[0].ring],
                "attempt": work[0].attempt,
                "packages": [_package(line, with_arch=count[line.package] > 1) for line in work],
            }
        )
    return hosts


def _groups(rings: Iterable[str]) -> dict[str, str]:
    """Return the name of each ring's group, in letters that Ansible takes; no two have the same."""
    groups: dict[str, str] = {}
    for ring in dict.fromkeys(rings):
        group = "ring_" + re.sub(r"[^a-z0-9]+", "_", ring.lower())
        if not ring.isascii() or group in groups.values():
            group += "_" + sha256(ring.encode()).hexdigest()[:8]
        groups[ring] = group
    return groups


def _package(line: WorkLine, *, with_arch: bool) -> dict[str, str]:
    name = f"{line.package}:{line.arch}" if with_arch and line.arch else line.package
    return {
        "name": _plain(name),
        "to": _plain(line.to_version),
        "match": "source" if line.match is Match.SOURCE else "binary",
    }


def _plain(word: str) -> str:
    if not _PLAIN.fullmatch(word):
        raise InputError(f"{word!r} cannot be written into a playbook; export it as CSV")
    return word
