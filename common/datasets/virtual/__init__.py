"""Motion capture projected by virtual cameras to the joints of 2D detectors: training data for all kinds of videos."""
