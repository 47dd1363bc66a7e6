"""Measurements on this machine: speed and memory compared with a reference program, and the figures in docs/."""
