"""Measurements of this program on the machine at hand: against a straightforward one, and of lifted keypoints."""
