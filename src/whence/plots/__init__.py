"""Pictures of results: each takes results, computes no score and returns a matplotlib ``Figure``.

matplotlib is imported when the first figure is drawn, not with this package.
"""

from whence.plots.against import Versus, against
from whence.plots.by_class import influence_by_class
from whence.plots.curves import training_curves
from whence.plots.embedding_map import Embedding, embedding_map
from whence.plots.far_and_near import FarAndNear, outlier_boxes
from whence.plots.gallery import gallery
from whence.plots.heat_table import heat_table
from whence.plots.input_influence import input_influence
from whence.plots.pictures import Panel, picture_grid
from whence.plots.points import point_influence
from whence.plots.predicted_actual import predicted_against_actual
from whence.plots.ranked_bars import ranked_bars
from whence.plots.regression_lines import regression_lines
from whence.plots.removal_curves import removal_curves
from whence.plots.saving import save_figure
from whence.plots.sweep import damping_sweep
from whence.plots.weight_changes import WeightChange, weight_changes

__all__ = [
    "Embedding",
    "FarAndNear",
    "Panel",
    "Versus",
    "WeightChange",
    "against",
    "damping_sweep",
    "embedding_map",
    "gallery",
    "heat_table",
    "influence_by_class",
    "input_influence",
    "outlier_boxes",
    "picture_grid",
    "point_influence",
    "predicted_against_actual",
    "ranked_bars",
    "regression_lines",
    "removal_curves",
    "save_figure",
    "training_curves",
    "weight_changes",
]
