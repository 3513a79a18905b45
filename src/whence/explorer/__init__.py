"""The page over a run folder: it reads what is stored and computes nothing but lookups and the top of a list."""
