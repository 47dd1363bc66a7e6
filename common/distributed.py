"""Several processes as one run, started by `torchrun`: their shards, sums and shared network.

Every function also works in a single process, without `torchrun`.
"""

from __future__ import annotations

import atexit
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from common.errors import UserError, silence_warnings

Result = TypeVar('Result')


def start(device: torch.device) -> torch.device:
    """Join the processes that `torchrun` started, if any. Returns the device of this process.

    Afterwards only the first process prints, and warns.

    Raises:
        UserError: processes cannot share that kind of device.
    """
    if int(os.environ.get('WORLD_SIZE', '1')) == 1:
        return device
    if device.type == 'mps':
        raise UserError('torchrun does not work with --device mps; use --device cpu.')
    if device.type == 'cuda':
        local = int(os.environ['LOCAL_RANK'])
        if local >= torch.cuda.device_count():
            raise UserError(f'torchrun started more processes than this machine has GPUs '
                            f'({torch.cuda.device_count()}): lower --nproc_per_node.')
        device = torch.device('cuda', local)
        torch.cuda.set_device(device)
    dist.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    atexit.register(dist.destroy_process_group)  # its threads would abort a process that ends
    if rank():
        sys.stdout = open(os.devnull, 'w', encoding='utf-8')  # noqa: SIM115 - for the rest of the process
        silence_warnings()
    return device


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def shard(batch: Tensor) -> Tensor:
    """This process's shard of a batch, (B,) -> about (B / size,)."""
    return batch[rank()::size()]


def part(count: int) -> slice:
    """This process's contiguous part of `count` items."""
    return slice(count * rank() // size(), count * (rank() + 1) // size())


def total(tensor: Tensor) -> Tensor:
    """The sum over the processes (all-reduce)."""
    if size() == 1:
        return tensor
    sent = tensor.cuda() if dist.get_backend() == 'nccl' else tensor  # NCCL needs tensors on its device
    dist.all_reduce(sent)
    return sent.to(tensor.device)


def mean(value: Tensor) -> Tensor:
    """The mean over the processes."""
    return total(value / size()) if size() > 1 else value


def mean_over_shards(loss: Tensor, poses: int, of: int) -> Tensor:
    """The share of this process's mean loss in the mean over the whole batch, times the number of processes.

    So the mean over the processes, as of the gradients, is the mean over the batch, though shards differ in size. The
    loss of a shard without poses, which is NaN, counts zero.

    Args:
        loss: mean over this process's shard.
        poses, of: number of poses in the shard, and in the batch.
    """
    return loss if size() == 1 else (loss if poses else loss.nan_to_num()) * (poses * size() / of)


def from_first(make: Callable[[], Result]) -> Result:
    """What the first process makes, in every process; also the UserError that it raises."""
    if size() == 1:
        return make()
    made: list[Any] = [None, None]
    if not rank():
        try:
            made[0] = make()
        except UserError as error:
            made[1] = str(error)
    dist.broadcast_object_list(made)
    if made[1] is not None:
        raise UserError(made[1])
    return made[0]


def maximum(number: int, device: torch.device) -> int:
    """The largest of the processes' numbers."""
    if size() == 1:
        return number
    tensor = torch.tensor(number, device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return int(tensor)


def parallel(model: nn.Module) -> nn.Module:
    """A network whose gradients are averaged over the processes, and whose batch norms see the poses of all processes.

    The returned network shares its weights with `model`, whose batch norms are replaced. A single process gets `model`
    itself, unchanged.
    """
    if size() == 1:
        return model
    on_cuda = next(model.parameters()).is_cuda
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model) if on_cuda else convert_batch_norms(model)
    # all processes compute the same buffers; newer versions of PyTorch have another name for the option
    parameters = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    option = 'forward_sync_buffers' if 'forward_sync_buffers' in parameters else 'broadcast_buffers'
    options: dict[str, Any] = {option: False}
    return nn.parallel.DistributedDataParallel(model, **options)


def convert_batch_norms(model: nn.Module) -> nn.Module:
    """Replace each batch norm of a network on CPUs by a `SharedBatchNorm1d` of the same parameters."""
    for parent in list(model.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, nn.BatchNorm1d):
                setattr(parent, name, SharedBatchNorm1d(norm))
    return model


class _Sum(torch.autograd.Function):
    """The sum over the processes, whose gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        return total(tensor.clone())

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return total(gradient.clone(memory_format=torch.contiguous_format))


class SharedBatchNorm1d(nn.BatchNorm1d):
    """Batch norm over the poses of all processes on CPUs, for which PyTorch's SyncBatchNorm does not work.

    The processes may have different numbers of poses, or none. Shapes: (N, C) -> (N, C).

    Args:
        norm: gives its parameters and buffers.
    """

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, device='meta')
        self._parameters.update(norm._parameters)
        self._buffers.update(norm._buffers)
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        count = total(torch.tensor(float(len(x)), device=x.device))
        mean = _Sum.apply(x.sum(0)) / count
        variance = _Sum.apply((x - mean).square().sum(0)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return (x - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias
