"""Tracks: people through the frames of a clip, swaps of left and right, and where people are in the image."""
