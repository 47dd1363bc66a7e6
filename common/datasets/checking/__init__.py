"""Checks of a dataset's files: their arrays, the order of their joints, their people."""
