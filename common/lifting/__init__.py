"""Lifting a user's own keypoints: detector files in, people tracked and framed, 3D out."""
