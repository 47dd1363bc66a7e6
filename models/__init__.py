"""The networks behind one face: (B, J, 2) keypoints in, (B, J, 3) positions out."""
