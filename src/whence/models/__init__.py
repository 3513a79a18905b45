"""The small networks that examples and studies use; all are built from an explicit seed or from zeros."""

from whence.models.all_cnn import AllCNN, all_cnn, small_all_cnn
from whence.models.linear import linear_model
from whence.models.reinitialised import reinitialised

__all__ = ["AllCNN", "all_cnn", "linear_model", "reinitialised", "small_all_cnn"]
