"""One file a verb. Heavy libraries are imported when a verb runs, so that ``--help`` answers at once."""
