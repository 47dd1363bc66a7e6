"""Motion capture as virtual cameras and 2D detectors would see it: training data for videos of all kinds."""
