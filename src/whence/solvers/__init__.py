"""Linear solvers: choices are objects, work is returned."""
