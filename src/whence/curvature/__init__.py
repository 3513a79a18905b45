"""Curvature as symmetric operators over all the data."""
