"""Measurements of this program against a straightforward one, on the machine at hand."""
