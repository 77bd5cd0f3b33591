"""A host that carries out its orders over HTTP, as an agent does: the protocol's test client.

`python tests/execution/playing_host.py ADDRESS HOST_ID TOKEN JOURNAL` plays one until it is ended.

What it must remember is in its journal, a file of JSON lines that it appends to before it acts:
killed between any two lines, it goes on where it was. The journal is also the truth of what was
done on the host, whatever the service believes.
"""

import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

AGAIN = {429, 500, 502, 503}  # answers after which the same call is repeated
PATIENCE = 10  # seconds for an answer


class AwayError(Exception):
    """The service did not answer, or asks to come again: the same step later."""


@dataclass
class PlayingHost:
    """``works`` seconds pass between the begin and the end of the work on the host."""

    address: str
    host_id: int
    token: str
    journal: Path
    works: float = 0.0
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        if self.journal.exists():
            self.lines = [json.loads(line) for line in self.journal.read_text().splitlines()]

    def step(self) -> str:
        """Do the next thing; return what was done. Raises `AwayError`."""
        last = self.lines[-1] if self.lines else {"did": "nothing"}
        if last["did"] in ("nothing", "reported", "refused"):
            return self._ask()
        if last["did"] == "got":
            return self._begin(last)
        if last["did"] == "started":
            time.sleep(self.works)
            return self._note("ended", last)
        return self._report(last)

    def _ask(self) -> str:
        status, order = self._post(f"/hosts/{self.host_id}/leases")
        if status == 204:
            return "nothing"
        if status != 200:
            raise AssertionError(f"{status} {order}")
        return self._note("got", {"order": order, "run": uuid.uuid4().hex})

    def _begin(self, line: dict[str, Any]) -> str:
        status, answer = self._claim(line, "begin")
        if status == 409:
            return self._note("refused", line, why=answer["type"])
        if status != 200:
            raise AssertionError(f"{status} {answer}")
        return self._note("started", line)

    def _report(self, line: dict[str, Any]) -> str:
        outcome = "rolled_back" if line["order"]["kind"] == "roll_back" else "installed"
        status, answer = self._claim(line, "result", outcome=outcome, output="done")
        if status != 200:
            raise AssertionError(f"{status} {answer}")
        return self._note("reported", line)

    def _claim(self, line: dict[str, Any], verb: str, **more: Any) -> tuple[int, Any]:
        order = line["order"]
        claim = {"attempt": order["attempt"], "content_hash": order["content_hash"]}
        body = claim | {"run": line["run"]} | more
        return self._post(f"/leases/{order['lease_id']}/{verb}", body)

    def _post(self, path: str, body: Any = None) -> tuple[int, Any]:
        try:
            answer = self.http.post(
                f"{self.address}/api/v1{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=PATIENCE,
            )
            found = answer.json() if answer.content else None
        except (requests.RequestException, ValueError) as error:
            raise AwayError(str(error)) from error
        if answer.status_code in AGAIN:
            raise AwayError(f"{answer.status_code} {found}")
        return answer.status_code, found

    def _note(self, did: str, line: dict[str, Any], **more: Any) -> str:
        new = {"did": did, "at": time.time(), "order": line["order"], "run": line["run"], **more}
        with self.journal.open("a") as file:
            file.write(json.dumps(new) + "\n")
        self.lines.append(new)
        return did


if __name__ == "__main__":
    host = PlayingHost(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), works=1)
    while True:
        try:
            print(host.step(), flush=True)
        except AwayError as error:
            print(f"away: {error}", file=sys.stderr, flush=True)
        time.sleep(1)
