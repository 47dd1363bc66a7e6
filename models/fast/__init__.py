"""The same networks, faster: gradients written out, one softmax for all layers, folded inference.

`models/config.py` builds the networks of this room. Each is the network of the same name in `models/`, with the same
parameters and, up to rounding, the same results (`tests/models/test_fast.py`). Whatever this room does not compute
(channel-wise convolutions, autocast, torch.compile, groups of more than two) takes the plain equations.

To do without this room, import the two classes in `models/config.py` from `models.linear_model` and `models.sem_gcn`.
"""

from models.fast.linear_model import LinearModel
from models.fast.sem_gcn import SemGCN

__all__ = ['LinearModel', 'SemGCN']
