"""Geometry of bodies and cameras: skeletons, rotations, projection."""
