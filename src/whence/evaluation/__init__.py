"""How well scores predict the truth: labelled results in, labelled tables out."""

from whence.evaluation.agreement import agreement
from whence.evaluation.summary import summary

__all__ = ["agreement", "summary"]
