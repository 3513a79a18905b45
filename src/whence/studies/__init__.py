"""Studies: each composes what the floors below offer, and writes a run folder."""
