"""What dnf, apk, needrestart and others say, as their documentation and sources print it."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.facts import (
    LONGEST_LINE,
    MOST,
    UnreadableError,
    apk,
    dnf,
    kernels,
    needrestart,
    pro,
    reboot,
)
from patchmgr.domain.facts import Reboot

CHECK_UPDATE = """\
Updating Subscription Management repositories.
Last metadata expiration check: 0:12:34 ago on Mon 02 Mar 2026 09:30:00 AM UTC.

bash.x86_64                       5.1.8-9.el9                        baseos
openssl.x86_64                    1:3.0.7-28.el9_4                   rhel-9-baseos-rpms
java-17-openjdk-headless-slowdebug.x86_64
                                  1:17.0.11.0.9-2.el9                appstream
tzdata.noarch                     2024a-1.el9                        baseos
Obsoleting Packages
grub2-tools.x86_64                1:2.06-80.el9                      baseos
    grub2-tools.x86_64            1:2.06-70.el9                      @baseos
grub2-tools-efi.x86_64            1:2.06-80.el9                      baseos
    grub2-tools-efi-of-a-longer-name.x86_64
                                  1:2.06-70.el9                      @baseos
"""


def test_updates_of_dnf():
    assert [(x.name, x.arch, x.version, x.repository) for x in dnf.updates(CHECK_UPDATE)] == [
        ("bash", "x86_64", "5.1.8-9.el9", "baseos"),
        ("openssl", "x86_64", "1:3.0.7-28.el9_4", "rhel-9-baseos-rpms"),
        ("java-17-openjdk-headless-slowdebug", "x86_64", "1:17.0.11.0.9-2.el9", "appstream"),
        ("tzdata", "noarch", "2024a-1.el9", "baseos"),
    ]


@pytest.mark.parametrize("end", [" ", "\n                         "])
def test_a_row_may_break_after_a_long_version_too(end):
    text = f"selinux-policy.noarch{end}38.1.35-2.el9_4.2\n                         baseos\n"

    assert [(each.name, each.version, each.repository) for each in dnf.updates(text)] == [
        ("selinux-policy", "38.1.35-2.el9_4.2", "baseos")
    ]


def test_dnf_in_another_language_and_without_updates():
    german = CHECK_UPDATE.replace("Obsoleting Packages", "Veraltete Pakete").replace(
        "Last metadata expiration check", "Letzte Prüfung auf abgelaufene Metadaten"
    )

    assert dnf.updates(german) == dnf.updates(CHECK_UPDATE)
    assert dnf.updates("exit=0\n") == ()
    assert dnf.updates(f"{CHECK_UPDATE}exit=100\n") == dnf.updates(CHECK_UPDATE)


@pytest.mark.parametrize(
    "text",
    [
        "Error: Failed to download metadata for repo 'baseos': Cannot download repomd.xml\n",
        f"{CHECK_UPDATE}exit=1\n",
        "",  # what -q leaves of an error
        "Fehler: Kein Repository\n",
    ],
)
def test_repositories_that_dnf_could_not_read_are_not_taken_for_empty(text):
    with pytest.raises(UnreadableError, match=r"dnf|it may have failed"):
        dnf.updates(text)


MODULES = """\
AlmaLinux 8 - AppStream
Name       Stream       Profiles                                Summary
nodejs     18 [e]       common [d], development, minimal        Javascript runtime
perl       5.26 [d][e]  common [d], minimal                     Practical Extraction
ruby       2.5 [d]      common [d]                              An interpreter of Ruby

Hint: [d]efault, [e]nabled, [x]disabled, [i]nstalled
"""


def test_enabled_module_streams():
    assert dnf.modules(MODULES) == ("nodejs:18", "perl:5.26")
    assert dnf.modules("") == ()


def test_version_locks_of_dnf_yum_and_dnf5():
    four = "Last metadata expiration check: 0:01 ago.\nbash-0:5.1.8-6.el9.*\n!vim-2:9.0-1.el9.*\n"
    yum = "Loaded plugins: versionlock\n0:bash-4.2.46-34.el7.*\nversionlock list done\n"
    five = "# Added by 'versionlock add' command\nPackage name: bash\nevr = 5.2.26-3.fc40\n"

    assert dnf.locks(four) == (("bash",), ("!vim-2:9.0-1.el9.*", "bash-0:5.1.8-6.el9.*"))
    assert dnf.locks(yum) == (("bash",), ("0:bash-4.2.46-34.el7.*",))
    assert dnf.locks(five) == (("bash",), ("Package name: bash",))
    assert dnf.locks("") == ((), ())


NEEDED = """\
Core libraries or services have been updated since boot-up:
  * glibc
  * kernel

Reboot is required to fully utilize these updates.
More information: https://access.redhat.com/solutions/27943
exit=1
"""


def test_needs_restarting():
    assert dnf.needs_restarting(NEEDED) == Reboot(
        True, ("needs-restarting asks for one for glibc, kernel",)
    )
    calm = "No core libraries or services have been updated since boot-up.\nexit=0\n"
    assert dnf.needs_restarting(calm).pending is False
    for text in ("", "Reboot is required\n", f"{NEEDED}exit=127\n"):
        with pytest.raises(UnreadableError):
            dnf.needs_restarting(text)


APK = """\
fetch https://mirror.example/alpine/v3.19/main/x86_64/APKINDEX.tar.gz
Installed:                                Available:
busybox-1.36.1-r15                      < 1.36.1-r19
ca-certificates-bundle-20230506-r0      < 20240226-r0
py3-pip-23.3.1-r0                       < 24.0-r2 @edge
"""


def test_what_apk_can_upgrade():
    assert [(x.name, x.installed, x.version, x.tag) for x in apk.upgradable(APK)] == [
        ("busybox", "1.36.1-r15", "1.36.1-r19", ""),
        ("ca-certificates-bundle", "20230506-r0", "20240226-r0", ""),
        ("py3-pip", "23.3.1-r0", "24.0-r2", "@edge"),
    ]
    assert apk.upgradable("Installed:    Available:\n") == ()
    with pytest.raises(UnreadableError, match="line 1: 'ERROR"):
        apk.upgradable("ERROR: Unable to open repository: No such file\n")


NEEDRESTART = """\
NEEDRESTART-VER: 3.6
NEEDRESTART-KCUR: 6.1.0-18-amd64
NEEDRESTART-KEXP: 6.1.0-40-amd64
NEEDRESTART-KSTA: 3
NEEDRESTART-UCSTA: 0
NEEDRESTART-SVC: nginx.service
NEEDRESTART-SVC: cron.service
NEEDRESTART-CONT: LXC web1
NEEDRESTART-SESS: root @ session #28017
"""


def test_needrestart():
    found = needrestart.read(f"Scanning processes...\n{NEEDRESTART}")

    assert found.services == ("cron.service", "nginx.service")
    assert found.sessions == ("root @ session #28017",)
    assert found.containers == ("LXC web1",)
    assert found.reboot == Reboot(
        True, ("needrestart: kernel 6.1.0-18-amd64 runs and 6.1.0-40-amd64 is installed",)
    )


@pytest.mark.parametrize(
    ("state", "pending"), [("0", None), ("1", False), ("2", True), ("3", True)]
)
def test_what_the_states_of_a_kernel_mean(state, pending):
    text = NEEDRESTART.replace("KSTA: 3", f"KSTA: {state}")

    assert needrestart.read(text).reboot.pending is pending


def test_needrestart_without_a_kernel_says_nothing_of_a_reboot():
    assert needrestart.read("NEEDRESTART-VER: 3.6\n").reboot == Reboot()
    with pytest.raises(UnreadableError, match="NEEDRESTART-VER"):
        needrestart.read("needrestart: not found\n")
    with pytest.raises(UnreadableError, match="'9' is no NEEDRESTART-KSTA"):
        needrestart.read(NEEDRESTART.replace("KSTA: 3", "KSTA: 9"))


def test_the_mark_of_update_notifier():
    marked = reboot.read("*** System restart required ***\nlibc6\nlinux-image-6.1.0-40-amd64\n")

    assert marked.pending is True
    assert marked.reasons == ("/run/reboot-required, left by libc6, linux-image-6.1.0-40-amd64",)
    assert reboot.read("").pending is False


def test_kernels():
    files = "/boot/vmlinuz-6.1.0-18-amd64\n/boot/vmlinuz-0-rescue-1f2e\n/boot/vmlinuz\n"

    assert kernels.installed(files) == ("6.1.0-18-amd64",)
    assert kernels.installed("/lib/modules/6.6.58-0-lts/\n") == ("6.6.58-0-lts",)
    assert kernels.installed("") == ()
    assert kernels.running("6.1.0-18-amd64\n") == "6.1.0-18-amd64"
    assert kernels.machine("x86_64\n") == "x86_64"
    for text in ("", "Linux web 6.1.0\n", "6.1.0\n6.2.0\n"):
        with pytest.raises(UnreadableError):
            kernels.running(text)
    with pytest.raises(UnreadableError):
        kernels.machine("uname: invalid option\n")


def test_ubuntu_pro():
    said = {
        "attached": True,
        "services": [
            {"name": "esm-infra", "entitled": "yes", "status": "enabled"},
            {"name": "livepatch", "entitled": "yes", "status": "disabled"},
            {"name": "fips", "available": "yes"},
        ],
    }

    found = pro.read(json.dumps(said))

    assert found.attached is True
    assert found.services == {"esm-infra": "enabled", "fips": "n/a", "livepatch": "disabled"}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"attached": "yes"}', '{"attached": true, "services": {}}',
        '{"attached": true, "services": [{"name": "a\\u0000"}]}',
        '{"attached": true, "services": [1]}', '{"attached": true, "services": [{"name": 1}]}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_status_of_ubuntu_pro(text):
    with pytest.raises(UnreadableError):
        pro.read(text)


READERS = [
    dnf.updates, dnf.modules, dnf.locks, dnf.needs_restarting, apk.upgradable, needrestart.read,
    reboot.read, kernels.installed, kernels.running, pro.read,
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__module__.split(".")[-1])
@given(st.data())
def test_a_damaged_answer_is_refused_or_read(reader, data):
    whole = data.draw(
        st.sampled_from([CHECK_UPDATE, MODULES, NEEDED, APK, NEEDRESTART, '{"attached": true}'])
    )
    start = data.draw(st.integers(0, len(whole)))
    text = whole[:start] + data.draw(st.text(max_size=20)) + whole[data.draw(st.integers(start)) :]
    with suppress(UnreadableError):
        reader(text)


@pytest.mark.parametrize("reader", [dnf.updates, needrestart.read, reboot.read])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * (LONGEST_LINE + 1), "is longer than"),
        ("a\n" * (MOST + 1), "is one of more than"),
        ("a\n\0b\n", "line 2: .* has control characters"),
        ("\ud800\n", "has control characters"),
    ],
    ids=["line", "lines", "null", "half a surrogate pair"],
)
def test_what_no_tool_prints(reader, text, why):
    with pytest.raises(UnreadableError, match=why):
        reader(text)
