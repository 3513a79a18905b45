"""How well scores predict the truth: labelled results in, labelled tables out."""

from whence.evaluation.agreement import agreement
from whence.evaluation.association import association
from whence.evaluation.choosing import choose_removals
from whence.evaluation.linear_datamodeling import linear_datamodeling
from whence.evaluation.mislabels import harm, label_quality, mislabel_detection, neighbour_disagreement
from whence.evaluation.overlap import compare_groups, farthest, overlap
from whence.evaluation.removal_curves import plan_removals, removal_areas, removal_curves
from whence.evaluation.sanity import class_detection, randomised_model, subclass_detection
from whence.evaluation.summary import summary

__all__ = [
    "agreement",
    "association",
    "choose_removals",
    "class_detection",
    "compare_groups",
    "farthest",
    "harm",
    "label_quality",
    "linear_datamodeling",
    "mislabel_detection",
    "neighbour_disagreement",
    "overlap",
    "plan_removals",
    "randomised_model",
    "removal_areas",
    "removal_curves",
    "subclass_detection",
    "summary",
]
