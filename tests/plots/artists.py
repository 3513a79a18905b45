"""What a figure holds, for tests that judge it by its artists."""

from __future__ import annotations

from typing import Any

import numpy as np


def texts(figure: Any) -> str:
    """All words of a figure."""
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def drawn(axes: Any) -> int:
    """Number of finite scatter points."""
    return sum(int(np.isfinite(np.ma.filled(c.get_offsets(), np.nan)).all(axis=1).sum()) for c in axes.collections)
