"""When data that were read are the data that were written."""

import numpy as np
import torch


def assert_same(found, expected):
    """Nested data agree in types, layout and bits."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.flags.f_contiguous == expected.flags.f_contiguous
        assert found.flags.writeable
        if expected.dtype == object:
            assert_same(list(found.flat), list(expected.flat))
        else:
            assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, torch.Tensor):
        assert (found.dtype, found.shape, found.stride()) == (expected.dtype, expected.shape, expected.stride())
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    elif isinstance(expected, dict):
        assert_same(list(found.items()), list(expected.items()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected):
            assert_same(mine, theirs)
    elif isinstance(expected, float):
        assert np.float64(found).tobytes() == np.float64(expected).tobytes()  # -0.0 and nan too
    else:
        assert found == expected
