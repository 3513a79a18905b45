"""How well scores predict the truth: labelled results in, labelled tables out."""

from whence.evaluation.agreement import agreement
from whence.evaluation.choosing import choose_removals
from whence.evaluation.summary import summary

__all__ = ["agreement", "choose_removals", "summary"]
