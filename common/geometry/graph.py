"""The skeleton as a graph: its adjacency matrix."""

import numpy as np

from common.geometry.skeleton import Skeleton


def adjacency(skeleton: Skeleton) -> np.ndarray:
    """The skeleton's symmetric adjacency with self-loops, each row summing to one.

    Kipf and Welling (2017) with the random-walk normalisation D^-1 (A + I), which the published code uses. The layers
    use only its pattern of non-zero entries.

    Returns:
        (J, J) float32.
    """
    matrix = np.eye(len(skeleton))
    for parent, child in skeleton.bones:
        matrix[parent, child] = matrix[child, parent] = 1
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)
