#!/usr/bin/env python3
"""Send what is installed on this machine to a patchmgr service.

One file for Python 3.6 or later and its standard library alone: copy it to a machine and run it.
It sends listings as the machine's own tools print them and parses none of them, so it need not be
renewed when the service learns to read more. docs/collector.md says what is sent, and how to
enrol a fleet.

    agent.py enrol --server https://patchmgr.example --token pme_...     once
    agent.py report                                                      hourly, by a timer or cron
    agent.py report --dry-run                                            look at what would be sent

It ends with 0: done; 1: refused; 2: cannot be done so, or not understood; 75: try again later.
"""

import argparse
import contextlib
import glob
import gzip
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

Host = Dict[str, Any]
Sections = Dict[str, str]

DONE, REFUSED, WRONG, LATER = 0, 1, 2, 75
STATE = "/var/lib/patchmgr-agent/token.json"
SPREAD = 3600  # seconds
TIMEOUT = 60  # seconds of one request
PATIENCE = 120  # seconds of one command
LARGEST = 8 * 1024 * 1024  # bytes of one section
LARGEST_REPORT = 30 * 1024 * 1024  # bytes; the service reads no more than 32 MiB
LARGEST_ANSWER = 64 * 1024  # bytes
TRIES = 6
FIRST_WAIT, LONGEST_WAIT = 5, 600  # seconds between tries
ROOM = 4096  # bytes that the token's file takes at most
POLICIES = 400  # packages whose repositories are asked for

DPKG = (
    "${Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\t${source:Version}"
    "\\t${Status}\\n"
)
RPM = (
    "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}"
    "\\t%{MODULARITYLABEL}\\t%{VENDOR}\\n"
)
# Section -> commands; the first whose program is there is run. A section whose command fails is
# left out, unless its exit code is part of what it says.
COMMANDS = (
    ("dpkg", (("dpkg-query", "-W", "-f", DPKG),)),
    ("rpm", (("rpm", "-qa", "--qf", RPM),)),
    ("uname", (("uname", "-r"),)),
    ("uname-m", (("uname", "-m"),)),
    ("needrestart", (("needrestart", "-b", "-r", "l"),)),
    ("apt-upgradable", (("apt", "list", "--upgradable"),)),
    ("dnf-modules", (("dnf", "-q", "module", "list", "--enabled"),)),
    ("apk-upgradable", (("apk", "version", "-l", "<"),)),
    ("holds", (("apt-mark", "showhold"),)),
    ("versionlock", (("dnf", "-q", "versionlock", "list"), ("yum", "-q", "versionlock", "list"))),
)
WITH_EXIT_CODE = (
    ("needs-restarting", (("needs-restarting", "-r"),)),
    ("dnf-check-update", (("dnf", "-q", "check-update"), ("yum", "-q", "check-update"))),
)
PIP = ("pip", (("pip3", "list", "--format=json"), ("pip", "list", "--format=json")))
FILES = (
    ("os-release", ("/etc/os-release", "/usr/lib/os-release")),
    ("redhat-release", ("/etc/redhat-release",)),
    ("apk", ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")),
    ("pro-status", ("/var/lib/ubuntu-advantage/status.json",)),
)
DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_STATUS_D = "/var/lib/dpkg/status.d/*"  # a file for each package, as images without dpkg have
DPKG_FIELDS = (b"Package:", b"Status:", b"Version:", b"Architecture:", b"Source:")
REBOOT = ("/run/reboot-required", "/run/reboot-required.pkgs")
LEAVES_REBOOT = "/usr/share/update-notifier/notify-reboot-required"
KERNELS = ("/boot/vmlinuz-*", "/lib/modules/*")
MACHINE_ID = ("/etc/machine-id", "/var/lib/dbus/machine-id")
BOOT_ID = ("/proc/sys/kernel/random/boot_id",)
PRODUCT_UUID = ("/sys/class/dmi/id/product_uuid",)  # for root alone
ADMIN_PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class AgentError(Exception):
    """What ends the run: its exit code, and one line that says why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


# What is collected


def collect(with_pip: bool = False, hostname: str = "", server: str = "") -> Tuple[Host, Sections]:
    """Return the host and the sections of a report."""
    sections = {}  # type: Sections
    for name, paths in FILES:
        keep(sections, name, first_of(paths))
    for name, commands in COMMANDS + ((PIP,) if with_pip else ()):
        code, text = run_first(commands)
        keep(sections, name, text if code == 0 else None)
    for name, commands in WITH_EXIT_CODE:
        code, text = run_first(commands)
        keep(sections, name, None if text is None else "%s\nexit=%d\n" % (text.rstrip("\n"), code))
    if "dpkg" not in sections:
        keep(sections, "dpkg-status", dpkg_status())
    if not sections.get("rpm"):  # Debian has the program, and no packages of its own in it
        sections.pop("rpm", None)
    if os.path.exists(REBOOT[0]) or os.path.exists(LEAVES_REBOOT):
        keep(sections, "reboot-required", "".join(first_of((path,)) or "" for path in REBOOT))
    found = sorted(path for pattern in KERNELS for path in glob.glob(pattern))
    keep(sections, "kernels", "".join("%s\n" % path for path in found) or None)
    keep(sections, "apt-policy", policy(sections.get("apt-upgradable", "")))
    return host(hostname, server), sections


def host(hostname: str = "", server: str = "") -> Host:
    """Return what this machine is: names that tell it from others."""
    address = own_address(server)
    return {
        "hostname": hostname or socket.gethostname(),
        "machine_id": word(first_of(MACHINE_ID)),
        "boot_id": word(first_of(BOOT_ID)),
        "product_uuid": word(first_of(PRODUCT_UUID)),
        "addresses": [address] if address else [],
    }


def keep(sections: Sections, name: str, text: Optional[str]) -> None:
    """Keep a section that is there; one that is too large is left out whole, and said."""
    if text is None:
        return
    if len(text.encode("utf-8")) > LARGEST:
        say("section %s is larger than %d bytes and left out" % (name, LARGEST))
        return
    sections[name] = text


def first_of(paths: Sequence[str]) -> Optional[str]:
    """Return the text of the first file that can be read; None when there is none."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                return plain(b"".join(parts(file)))
        except OSError:
            continue
    return None


def dpkg_status() -> Optional[str]:
    """Return what dpkg's own files say is installed; what else they say is ten times as much."""
    kept = []  # type: List[bytes]
    for path in [DPKG_STATUS, *sorted(glob.glob(DPKG_STATUS_D))]:
        if path.endswith(".md5sums"):
            continue
        if kept:
            kept.append(b"\n")  # each file ends a package's lines
        try:
            with open(path, "rb") as file:
                said = (line.rstrip(b"\n") for line in file)
                kept += [
                    line + b"\n"
                    for line in said
                    if line.startswith(DPKG_FIELDS) or not line.strip()
                ]
        except OSError:
            continue
    text = plain(b"".join(kept))
    return text if text.strip() else None


def parts(file: BinaryIO) -> Iterator[bytes]:
    """Yield a little more of ``file`` than a section takes; the kernel's files want small reads."""
    left = LARGEST + 1
    while left > 0:
        part = file.read(min(left, 65536))
        if not part:
            return
        left -= len(part)
        yield part


def run_first(commands: Sequence[Tuple[str, ...]]) -> Tuple[int, Optional[str]]:
    """Run the first command whose program is there; return its exit code and what it printed."""
    for command in commands:
        program = shutil.which(command[0], path=search_path())
        if program:
            return run((program, *command[1:]))
    return 127, None


def run(command: Tuple[str, ...]) -> Tuple[int, Optional[str]]:
    """Run ``command``, not for ever; return its exit code and output, None where it has none."""
    environment = dict(os.environ, LC_ALL="C", LANGUAGE="C", PATH=search_path())
    environment["DEBIAN_FRONTEND"] = "noninteractive"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError:
        return 127, None
    ended = threading.Event()

    def end() -> None:
        ended.set()
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)

    output = process.stdout  # type: Any
    watch = threading.Timer(PATIENCE, end)
    watch.start()
    try:
        printed = output.read(LARGEST + 1)  # type: bytes
        if len(printed) > LARGEST:
            end()
        process.wait()
    finally:
        watch.cancel()
        output.close()
    if ended.is_set():
        say("%s took too long or printed too much, and is left out" % command[0])
        return 124, None
    return process.returncode, plain(printed)


def policy(upgradable: str) -> Optional[str]:
    """Return what apt says of where the packages of its own listing come from."""
    names = [line.split("/")[0] for line in upgradable.splitlines() if "/" in line]
    if not names:
        return None
    code, text = run_first((("apt-cache", "policy", *names[:POLICIES]),))
    # An address in sources.list may have a password in it, which is nobody's business.
    return re.sub(r"://[^/\s@]*@", "://", text) if code == 0 and text else None


def search_path() -> str:
    return os.pathsep.join(filter(None, (os.environ.get("PATH", ""), ADMIN_PATHS)))


def plain(output: bytes) -> str:
    """Return bytes as text that JSON and databases take."""
    return output.decode("utf-8", "replace").replace("\0", "")


def word(text: Optional[str]) -> str:
    return (text or "").strip()[:64]


def own_address(server: str) -> str:
    """Return this machine's address on the way to ``server``; nothing is sent for it."""
    parts = urllib.parse.urlsplit(server)
    try:
        found = socket.getaddrinfo(
            parts.hostname or "192.0.2.1", parts.port or 443, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(found[0], socket.SOCK_DGRAM) as probe:
            probe.connect(found[4])
            return str(probe.getsockname()[0]).split("%")[0]
    except (OSError, UnicodeError, IndexError):
        return ""


# The report


def canonical(host: Host, sections: Sections) -> bytes:
    """Return host and sections as JSON in the one form that the digest is made of."""
    content = {"host": host, "sections": sections}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def document(content: bytes) -> bytes:
    """Return the report around canonical ``content``, as it is sent."""
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = b'{"collected_at":"%s",%s,"version":1}' % (at.encode("ascii"), content[1:-1])
    if len(body) > LARGEST_REPORT:
        raise AgentError(WRONG, "the report is larger than %d bytes" % LARGEST_REPORT)
    return body


# The service


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a token goes to the server that it is for, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Service:
    """The patchmgr service at ``server``; proxies come from the environment."""

    def __init__(self, server: str, token: str = "", ca: str = "") -> None:
        parts = urllib.parse.urlsplit(server)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise AgentError(WRONG, "%r is no address such as https://patchmgr.example" % server)
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise AgentError(WRONG, "a token is not sent over plain http; use https")
        self.server = server.rstrip("/")
        self.token = token
        try:
            context = ssl.create_default_context(cafile=ca or None)
        except (OSError, ssl.SSLError) as error:
            raise AgentError(
                WRONG, "the certificates in %s cannot be read: %s" % (ca, error)
            ) from error
        handlers = [Stay(), urllib.request.HTTPSHandler(context=context)]  # type: List[Any]
        if parts.scheme == "http":  # what goes to this machine itself is no proxy's business
            handlers.append(urllib.request.ProxyHandler({}))
        self.opener = urllib.request.build_opener(*handlers)

    def post(self, path: str, body: bytes, **headers: str) -> Dict[str, Any]:
        """Return what the service answers. Raises `AgentError`; `LaterError` if it may do later."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = "patchmgr-agent"
        if self.token:
            headers["Authorization"] = "Bearer %s" % self.token
        request = urllib.request.Request(self.server + path, data=body, headers=headers)
        try:
            with self.opener.open(request, timeout=TIMEOUT) as answer:
                whole = answer.read(LARGEST_ANSWER)
                if len(whole) < int(answer.headers.get("Content-Length", 0)) < LARGEST_ANSWER:
                    raise LaterError("%s does not answer: it broke off" % self.server)
                said = json.loads(whole.decode("utf-8"))
                return dict(said.items())
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from error
        except (ssl.SSLError, ssl.CertificateError) as error:  # the latter a ValueError in 3.6
            raise AgentError(WRONG, "%s is not trusted: %s" % (self.server, error)) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                raise AgentError(
                    WRONG, "%s is not trusted: %s" % (self.server, error.reason)
                ) from error
            raise LaterError("%s does not answer: %s" % (self.server, error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise LaterError("%s does not answer: %s" % (self.server, error)) from error
        except (AttributeError, TypeError, ValueError):
            raise AgentError(WRONG, "%s does not answer as patchmgr does" % self.server) from None

    def _refusal(self, error: urllib.error.HTTPError) -> AgentError:
        why = "%d: %s" % (error.code, detail(error))
        if error.code in (429, 502, 503, 504):
            return LaterError("later (%s)" % why, wait_of(error.headers.get("Retry-After", "")))
        if error.code in (401, 403, 409):
            return AgentError(REFUSED, "refused (%s)" % why)
        if error.code == 413:
            more = "what stands before the service must take 32 MiB"
            return AgentError(WRONG, "too large (%s): %s" % (why, more))
        if 300 <= error.code < 400:
            where = error.headers.get("Location", "elsewhere")
            return AgentError(WRONG, "%s sends on to %s; use that address" % (self.server, where))
        return AgentError(LATER if error.code >= 500 else WRONG, "not taken (%s)" % why)


class LaterError(AgentError):
    """The service cannot take it now; ``seconds`` as it says, None when it does not."""

    def __init__(self, why: str, seconds: Optional[int] = None) -> None:
        super().__init__(LATER, why)
        self.seconds = seconds


def detail(error: urllib.error.HTTPError) -> str:
    """Return what an answer says in words, in one line."""
    try:
        said = json.loads(error.read(LARGEST_ANSWER).decode("utf-8"))["detail"]
    except (ValueError, KeyError, TypeError, OSError):
        said = error.reason
    return " ".join(str(said).split())[:500]


def wait_of(text: str) -> Optional[int]:
    return min(int(text), LONGEST_WAIT) if re.match("[0-9]{1,9}$", text) else None


def trying(
    call: Callable[[], Dict[str, Any]], tries: int, pause: Callable[[float], None] = time.sleep
) -> Dict[str, Any]:
    """Return what ``call`` returns, calling again when it is told to come later."""
    wait = FIRST_WAIT
    while True:
        tries -= 1
        try:
            return call()
        except LaterError as later:
            if tries <= 0:
                raise
            asked = wait if later.seconds is None else later.seconds
        pause(asked + random.uniform(0, asked / 2 + 1))  # others were told the same
        wait = min(wait * 2, LONGEST_WAIT)


# The commands


def enrol(options: argparse.Namespace) -> None:
    """Exchange the one-time token for this machine's own, and keep it."""
    given = str(options.token)
    key = sys.stdin.readline().strip() if given == "-" else given
    service = Service(options.server, ca=options.ca)
    said = host(options.hostname, options.server)
    body = json.dumps({"token": key, "host": said}).encode("utf-8")
    with kept_at(options.state) as keep_state:
        answer = trying(lambda: service.post("/api/v1/enrolments", body), options.tries)
        keep_state(
            {
                "server": service.server,
                "ca": os.path.abspath(options.ca) if options.ca else "",
                "host_id": answer["id"],
                "token": answer["token"],
                "hostname": options.hostname,
            }
        )
    say("enrolled as %s; the token is in %s" % (answer["host"], options.state))


def report(options: argparse.Namespace) -> None:
    """Send a report, or say what one would be."""
    if options.dry_run:
        known = {"hostname": "", "server": ""}  # type: Dict[str, Any]
        with contextlib.suppress(AgentError):  # shown without enrolment too
            known = read_state(options.state)
        found = collect(options.pip, options.hostname or known["hostname"], known["server"])
        print(json.dumps(json.loads(document(canonical(*found)).decode("utf-8")), indent=2))
        sys.stdout.flush()
        return
    state = read_state(options.state)
    service = Service(state["server"], state["token"], options.ca or state["ca"])
    if not options.once:
        time.sleep(spread(options.spread))
    found = collect(options.pip, options.hostname or state["hostname"], state["server"])
    content = canonical(*found)
    digest = hashlib.sha256(content).hexdigest()
    path = "/api/v1/hosts/%d/reports?digest=%s" % (state["host_id"], digest)
    tries = 1 if options.once else options.tries
    answer = trying(lambda: service.post(path, b""), tries)
    if not answer["wanted"]:
        say("unchanged")
        return
    body = gzip.compress(document(content))
    answer = trying(lambda: service.post(path, body, Content_Encoding="gzip"), tries)
    say(
        "sent: %s packages, %s"
        % (answer["packages"], "changed" if answer["changed"] else "as known")
    )


def spread(seconds: int) -> int:
    """Return how long this machine waits: always the same, and another one than others."""
    own = word(first_of(MACHINE_ID)) or socket.gethostname()
    return int(hashlib.sha256(own.encode("utf-8")).hexdigest()[:8], 16) % max(seconds, 1)


def read_state(path: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        return {
            "server": str(state["server"]),
            "token": str(state["token"]),
            "host_id": int(state["host_id"]),
            "ca": str(state.get("ca", "")),
            "hostname": str(state.get("hostname", "")),
        }
    except FileNotFoundError:
        raise AgentError(WRONG, "not enrolled yet (no %s): agent.py enrol --help" % path) from None
    except PermissionError:
        raise AgentError(WRONG, "%s cannot be read: run as the user that enrolled" % path) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise AgentError(WRONG, "%s is damaged: enrol again" % path) from None


@contextlib.contextmanager
def kept_at(path: str) -> Iterator[Callable[[Dict[str, Any]], None]]:
    """Yield what keeps the state at ``path``, for this user alone, whole or not at all.

    There is room for it before the block begins: a one-time token is spent in it.
    """
    folder = os.path.dirname(os.path.abspath(path))
    draft = ""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix="token.", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(b" " * ROOM)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remove(draft)
        why = "%s cannot be written: %s; run as root, make room, or name another --state"
        raise AgentError(WRONG, why % (folder, error.strerror)) from error

    def keep_state(state: Dict[str, Any]) -> None:
        with open(draft, "r+b") as file:
            file.write(json.dumps(state).encode("utf-8"))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)

    try:
        yield keep_state
    finally:
        remove(draft)


def remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def say(text: str) -> None:
    sys.stderr.write("patchmgr-agent: %s\n" % text)


def parse(words: Optional[List[str]]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", default=STATE, help="where the token is kept (%(default)s)")
    common.add_argument("--ca", default="", help="certificates to trust instead of the system's")
    common.add_argument("--hostname", default="", help="the name to report, if not the machine's")
    common.add_argument("--tries", type=int, default=TRIES, help="at most (%(default)s)")
    parser = argparse.ArgumentParser(
        prog="agent.py", description="Send what is installed on this machine to patchmgr."
    )
    commands = parser.add_subparsers(dest="command", metavar="enrol|report")
    first = commands.add_parser("enrol", parents=[common], help="exchange a one-time token, once")
    first.add_argument("--server", required=True, help="such as https://patchmgr.example")
    first.add_argument("--token", required=True, help="from an admin; - reads it from stdin")
    first.set_defaults(do=enrol)
    again = commands.add_parser("report", parents=[common], help="send what is installed")
    again.add_argument("--spread", type=int, default=SPREAD, help="wait up to so many seconds")
    again.add_argument("--once", action="store_true", help="send at once, and try only once")
    again.add_argument("--dry-run", action="store_true", help="print the report; send nothing")
    again.add_argument("--pip", action="store_true", help="also what pip has installed")
    again.set_defaults(do=report)
    options = parser.parse_args(words)
    if not options.command:
        parser.error("say enrol or report")
    return options


def main(words: Optional[List[str]] = None) -> int:
    options = parse(words)
    try:
        options.do(options)
    except AgentError as problem:
        say(str(problem))
        return problem.code
    except KeyboardInterrupt:
        say("interrupted")
        return LATER
    except BrokenPipeError:  # whoever looks at a dry run has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyError, TypeError, AttributeError):
        say("the service does not answer as patchmgr does")
        return WRONG
    except OSError as error:
        say(str(error))
        return WRONG
    return DONE


if __name__ == "__main__":
    sys.exit(main())
