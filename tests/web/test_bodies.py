"""Bodies that break off or are no bodies, sent to a real server."""

import socket
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from patchmgr.db import models
from patchmgr.db.session import Database
from patchmgr.domain.accounts import Role
from patchmgr.services import tokens

CSV = b"hostname,os_id\nweb-1,debian\n"
HEAD = "POST /api/v1/imports/hosts HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


@pytest.fixture
def served(tmp_path, now):
    """A server over a database of its own; yields it, its port, and the key of an operator."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {"PATCHMGR_HOME": str(tmp_path), "PATH": ""}
    command = [sys.executable, "-m", "patchmgr"]
    subprocess.run([*command, "db", "upgrade"], env=environ, check=True, capture_output=True)
    db = Database(f"sqlite:///{tmp_path / 'patchmgr.db'}")
    _, key = tokens.create(db, "tests", Role.OPERATOR, actor="test", now=now)
    process = subprocess.Popen(
        [*command, "web", "--port", str(port)],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield db, port, key
    process.terminate()
    process.wait()
    db.close()


def ask(port, key, *headers, body=b""):
    """Send a request and then nothing more; return the status."""
    head = "".join(f"{line}\r\n" for line in (f"Authorization: Bearer {key}", *headers))
    for _ in range(600):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    with connection:
        connection.sendall(f"{HEAD}{head}\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(4096).split()[1])


def test_only_a_whole_body_is_taken(served):
    db, port, key = served

    assert ask(port, key, "Content-Length: 1000", body=CSV) == 400
    assert ask(port, key, "Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n") == 400
    assert ask(port, key, "Transfer-Encoding: chunked", body=b"1b\r\nhost") == 400
    assert ask(port, key, "Content-Length: -1", body=CSV) == 400
    with db.reading() as session:
        assert session.scalar(select(func.count(models.Host.id))) == 0

    assert ask(port, key, f"Content-Length: {len(CSV)}", body=CSV) == 200
    chunk = f"{len(CSV):x}".encode() + b"\r\n" + CSV + b"\r\n0\r\n\r\n"
    assert ask(port, key, "Transfer-Encoding: chunked", body=chunk) == 200
