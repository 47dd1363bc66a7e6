"""The same networks, faster: gradients written out, one softmax for all layers, folded inference.

`models/config.py` builds the networks of this folder. Each is the network of the same name in `models/`, with the same
parameters and, up to rounding, the same results (`tests/models/test_fast.py`). Cases that this folder does not cover
(channel-wise convolutions, autocast, torch.compile, groups of more than two) run the plain equations.

To remove this folder, import the two classes in `models/config.py` from `models.linear_model` and `models.sem_gcn`.
"""

from models.fast.linear_model import LinearModel
from models.fast.sem_gcn import SemGCN

__all__ = ['LinearModel', 'SemGCN']
