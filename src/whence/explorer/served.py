"""What a server holds of one run while it runs."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from whence.explorer.answers import answer
from whence.explorer.flags import Flags
from whence.explorer.reader import Reader
from whence.explorer.refused import Refused
from whence.explorer.sprites import Sprites
from whence.explorer.verification import Verification, abilities


@dataclass(frozen=True)
class Served:
    """A run, its thumbnails, flags and refits, and the token without which nothing can be changed."""

    reader: Reader
    sprites: Sprites
    flags: Flags
    verification: Verification
    title: str
    method: str | None
    """The one that is shown first."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @classmethod
    def open(cls, folder: str | Path, model: str | None = None, data: Path | None = None) -> Served:
        """Raises RunError if the folder is no run. ``model``, ``data``: what a refit needs, see ``whence refit``."""
        reader = Reader.open(folder)
        reader.can = abilities(reader, model)
        flags = Flags(Path(folder), reader.train, reader.classes)
        reader.beside.append(flags.problems)
        about = answer(reader, "/api/about")
        verification = Verification(reader, model, data)
        return cls(reader, Sprites(reader), flags, verification, str(about["title"]), about["default"]["method"])

    def prepare(self) -> None:
        """Does before the page asks for it what would keep it waiting: large scores are proved."""
        if self.method is not None:
            # What is wrong with them is said when they are asked for.
            with contextlib.suppress(Refused):
                self.reader.prove(self.method)
