"""Lifting a user's own keypoints: reading detectors' files, tracking people, lifting them to 3D, writing files."""
