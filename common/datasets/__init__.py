"""Data sets: what they hold, how they are read, checked, paired, split and batched."""
