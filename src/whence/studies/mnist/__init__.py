"""The MNIST study, stage by stage: every experiment, table and figure of the thesis, ours beside its numbers."""
