"""A client of the page's server in this process."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from whence.explorer.app import app
from whence.explorer.served import Served

PORT = 8000
TOKEN = "X-Whence-Token"


class Client:
    """Asks the server of one run; what it posts carries the token."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.http = TestClient(app(served, PORT), base_url=f"http://127.0.0.1:{PORT}")

    def get(self, path: str, status: int = 200, **parameters: Any) -> Any:
        """The JSON of an answer that must have this status."""
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        """The same for what changes something."""
        answer = self.http.post(path, json=body, headers={TOKEN: self.served.token})
        assert answer.status_code == status, answer.text
        return answer.json()

    @property
    def problems(self) -> list[str]:
        found: list[str] = self.get("/api/about")["problems"]
        return found
