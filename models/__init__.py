"""The networks, all with one interface: keypoints (B, J, 2) -> positions (B, J, 3)."""
