"""Learnt predictors of influence: from embeddings and labels, which cost one forward pass, to actual effects."""

from whence.predictor.boosted import Boosted, FittedBoosted
from whence.predictor.features import Features, pair_features
from whence.predictor.held_out import folds_of, held_out, predict_held_out, summary
from whence.predictor.thesis_network import Fitted, ThesisNetwork, split, thesis_inputs

__all__ = [
    "Boosted",
    "Features",
    "Fitted",
    "FittedBoosted",
    "ThesisNetwork",
    "folds_of",
    "held_out",
    "pair_features",
    "predict_held_out",
    "split",
    "summary",
    "thesis_inputs",
]
