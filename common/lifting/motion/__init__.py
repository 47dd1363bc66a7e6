"""The motion of a person over a clip: constant bone lengths, smoothing, place in the room."""
