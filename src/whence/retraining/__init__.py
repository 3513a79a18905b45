"""Training recipes, refits and leave-out truth."""

from whence.retraining.adam import Adam
from whence.retraining.continued import Continued
from whence.retraining.converged import Converged
from whence.retraining.from_scratch import FromScratch
from whence.retraining.lbfgs import LBFGS
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton
from whence.retraining.proximal import Proximal
from whence.retraining.sgd import SGD, Recording
from whence.retraining.subsets import random_subsets, retrain_on_subsets

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "Continued",
    "Converged",
    "FromScratch",
    "Newton",
    "Proximal",
    "Recording",
    "leave_out",
    "random_subsets",
    "retrain_on_subsets",
]
