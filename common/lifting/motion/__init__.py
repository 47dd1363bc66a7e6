"""The motion of a person in a clip: constant bone lengths, smoothing, place in the room."""
