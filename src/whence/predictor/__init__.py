"""Learnt predictors of influence: from features of pairs to actual effects of removals.

Features come in two tiers: embeddings and labels, which cost one forward pass, and influence within each layer, which
costs a pass of gradients.
"""

from whence.predictor.blocks import block_features
from whence.predictor.boosted import Boosted, FittedBoosted
from whence.predictor.features import Features, joined, pair_features
from whence.predictor.held_out import folds_of, held_out, predict_held_out, summary
from whence.predictor.thesis_network import Fitted, ThesisNetwork, split, thesis_inputs

__all__ = [
    "Boosted",
    "Features",
    "Fitted",
    "FittedBoosted",
    "ThesisNetwork",
    "block_features",
    "folds_of",
    "held_out",
    "joined",
    "pair_features",
    "predict_held_out",
    "split",
    "summary",
    "thesis_inputs",
]
