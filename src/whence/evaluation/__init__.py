"""How well scores predict the truth: labelled results in, labelled tables out."""

from whence.evaluation.agreement import agreement
from whence.evaluation.association import association
from whence.evaluation.choosing import choose_removals
from whence.evaluation.overlap import compare_groups, farthest, overlap
from whence.evaluation.summary import summary

__all__ = ["agreement", "association", "choose_removals", "compare_groups", "farthest", "overlap", "summary"]
