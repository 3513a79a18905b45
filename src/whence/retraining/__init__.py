"""Training recipes, refits and leave-out truth."""
