"""Data sets: described, read, checked, paired, split and batched."""
