"""A run folder as one HTML file: nothing is fetched, no script runs, and no text of the run becomes markup."""

from whence.document.html import document

__all__ = ["document"]
