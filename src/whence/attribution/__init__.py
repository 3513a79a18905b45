"""Methods: one file each, behind one contract."""
