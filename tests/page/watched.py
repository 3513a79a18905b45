"""A browser context in which nothing may go wrong unseen: errors, policy violations, dialogs, requests elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Request, Response

TELL = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violation: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
INLINE = ("data", "blob")
PATHS = ("/", "/plotly.js", "/sprite")
ROOMS = ("/static/", "/api/")


@dataclass
class Watch:
    """What a context reported.

    ``home``: the only origin that may be asked ("" for none: a file from disk).
    """

    home: str
    pardoned: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, context: BrowserContext, home: str) -> Watch:
        """Watches a context from now on."""
        watch = cls(home)
        context.add_init_script(TELL)
        events: dict[str, Callable[..., None]] = {
            "console": watch._heard,
            "weberror": lambda error: watch.wrong.append(f"page error: {error.error}"),
            "dialog": watch._asked_back,
            "request": watch._requested,
            "response": watch._answered,
            "requestfailed": watch._failed,
        }
        for event, listener in events.items():
            context.on(event, listener)
        return watch

    def pardon(self, *paths: str) -> None:
        """Paths of ``home`` that a test asks on purpose: that they are refused, or answered no more, is no error."""
        self.pardoned |= set(paths)

    def judge(self) -> None:
        """Raises AssertionError if anything went wrong."""
        assert not self.wrong, "\n".join(self.wrong)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        place = urlsplit(message.location.get("url", ""))
        if message.text.startswith("Failed to load resource") and place.path in self.pardoned:
            return
        if message.type == "warning" and "GPU stall due to ReadPixels" in message.text:
            return  # what a software renderer says of every chart that is read back
        self.wrong.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _asked_back(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        url = urlsplit(request.url)
        self.asked.append(request.url)
        if url.scheme in INLINE:
            return
        origin = f"{url.scheme}://{url.netloc}/"
        if not self.home:
            allowed = url.scheme == "file" and request.is_navigation_request()
        else:
            known = url.path in PATHS or url.path.startswith(ROOMS) or url.path in self.pardoned
            allowed = origin == self.home and known
        if not allowed:
            self.wrong.append(f"request to {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and urlsplit(response.url).path not in self.pardoned:
            self.wrong.append(f"status {response.status} of {response.url}")

    def _failed(self, request: Request) -> None:
        # A page that is left or a download that the test keeps ends its requests: no failure of the page.
        if request.failure != "net::ERR_ABORTED" and urlsplit(request.url).path not in self.pardoned:
            self.wrong.append(f"request failed: {request.url}: {request.failure}")
