"""Pictures of results: each takes results, computes no score and returns a matplotlib ``Figure``.

matplotlib is imported when the first figure is drawn, not with this package.
"""

from whence.plots.by_class import influence_by_class
from whence.plots.gallery import gallery
from whence.plots.points import point_influence
from whence.plots.predicted_actual import predicted_against_actual
from whence.plots.regression_lines import regression_lines
from whence.plots.saving import save_figure

__all__ = [
    "gallery",
    "influence_by_class",
    "point_influence",
    "predicted_against_actual",
    "regression_lines",
    "save_figure",
]
