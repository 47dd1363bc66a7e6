"""Measurements on this machine: speed and memory beside a reference program, and the figures of the documents."""
