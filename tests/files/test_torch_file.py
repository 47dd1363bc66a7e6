"""Files of `torch.save`, in both containers: tensors and data are read, programs and damage are refused."""

import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from common.files import torch_file
from tests.helpers.make_archives import tar_of, zip_of
from tests.helpers.make_pickles import call, lit, name, tup
from tests.helpers.same import assert_same

CONTAINERS = ['legacy', 'zip']


def saved(value, container):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=container == 'zip')
    return buffer.getvalue()


def read(tmp_path, content):
    path = tmp_path / 'file.pth.tar'
    path.write_bytes(content)
    return torch_file.read(str(path))


def complaint(tmp_path, content):
    with pytest.raises(pickle.UnpicklingError) as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) < 500
    assert '\n' not in str(caught.value)
    return str(caught.value)


def training():
    """The content of a training's checkpoint."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    return {'epoch': 3, 'lr': 1e-3, 'state_dict': model.state_dict(), 'optimizer': optimizer.state_dict(),
            'random': torch.get_rng_state(), 'more': OrderedDict([('é', (1, None, True))]), 'odd': torch.tensor(
                [float('nan'), -0.0, float('inf'), 1e-45]), 'views': [torch.ones(4, 3).T, torch.arange(6)[1:4:2]]}


@pytest.mark.parametrize('container', CONTAINERS)
@pytest.mark.parametrize('python2', [False, True])
def test_what_is_saved_is_read(tmp_path, container, python2):
    """Numbers of NumPy, like pickles of Python 2, are refused by `weights_only` and read by the allow-list."""
    value = {**training(), **({'error': np.float64(42.5), 'lr': np.float32(0.5)} if python2 else {})}
    content = saved(value, container)
    if python2:
        with pytest.raises(pickle.UnpicklingError):
            torch.load(io.BytesIO(content), weights_only=True)
    assert_same(read(tmp_path, content), value)


@pytest.mark.parametrize('container', CONTAINERS)
def test_code_is_refused_by_name_and_does_not_run(tmp_path, container):
    marker = tmp_path / 'marker'

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    content = saved({'state_dict': {'w': torch.ones(2)}, 'x': Attack()}, container)
    torch.load(io.BytesIO(content), weights_only=False)
    assert marker.exists(), 'the attack itself does not work, so that the test shows nothing'
    marker.rmdir()
    assert 'asks for posix.mkdir' in complaint(tmp_path, content)
    assert not marker.exists()


# Files by hand.

def storage(length, kind='FloatStorage', what='storage'):
    return tup(lit(what), name('torch', kind), lit('0'), lit('cpu'), lit(length), b'N') + b'Q'


def tensor(size, stride, offset=0, of=None):
    return call(name('torch._utils', '_rebuild_tensor_v2'), of or storage(4), lit(offset), lit(size), lit(stride),
                lit(False), b'N')


def legacy(content, values=b'\4' + bytes(23)):
    parts = [pickle.dumps(part, 2) for part in (torch.serialization.MAGIC_NUMBER, 1001, {'little_endian': True})]
    return b''.join([*parts, b'\x80\x02' + content + b'.', pickle.dumps(['0'], 2), values])


def zipped(content, values=bytes(16), more=()):
    content = content.replace(lit(4) + b'Nt', lit(4) + b't')  # storages are described without the window
    members = (('data.pkl', b'\x80\x02' + content + b'.'), ('byteorder', b'little'), ('data/0', values),
               ('version', b'3\n'), *more)
    return zip_of({f'archive/{member}': data for member, data in members})


def test_programs_of_torchscript_are_refused(tmp_path):
    content = zipped(tensor((4,), (1,)), more=[('constants.pkl', b'N.')])
    assert 'a program of TorchScript' in complaint(tmp_path, content)


BY_PYTHON2 = b'I01\n\x86'  # puts a boolean behind, as Python 2 does, so that `weights_only` refuses the file


@pytest.mark.parametrize('after', [b'', BY_PYTHON2])
@pytest.mark.parametrize('make', [legacy, zipped])
def test_forged_tensors(tmp_path, make, after):
    """Those that claim more than the file has, or that repeat its numbers without end."""
    assert read(tmp_path, make(tensor((2, 2), (2, 1)) + after)) is not None
    for content in (tensor((1 << 40,), (0,)), tensor((1 << 20,) * 2, (0, 0)), tensor((5,), (1,), of=storage(1 << 40)),
                    tensor((1 << 40,), (1,)), tensor((4,), (1,), offset=-1), tensor((-4,), (1,)), tensor((4,), (-1,)),
                    tensor((2,), 'x'), tensor((2,), (1,), of=lit('x')), storage(4, what='module'), storage(-1),
                    storage(1 << 62), storage(4, kind='NoStorage'), call(name('torch', 'FloatStorage'), lit(1 << 40))):
        complaint(tmp_path, make(content + after))


OLD_TAR = tar_of(dict.fromkeys(('storages', 'tensors', 'pickle'), b'N.\0\0'))  # what PyTorch 0.1 wrote


@pytest.mark.parametrize('content', [
    b'', b'P', b'PK\3\4', b'PK\3\4' + bytes(100), OLD_TAR, pickle.dumps({'state_dict': {}}), b'text\n' * 50,
    b'\x93NUMPY', b'\x1f\x8b\x08\0' * 9, bytes(1000), b'\xff' * 1000, b'<!DOCTYPE html><html></html>',
    b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
    legacy(tensor((4,), (1,)), struct.pack('<q', 5) + bytes(20)), legacy(tensor((4,), (1,)), bytes(3)),
    zipped(tensor((4,), (1,)), bytes(15)),
])
def test_files_of_other_kinds(tmp_path, content):
    complaint(tmp_path, content)


# Damage: tensors or one exception, nothing else.

VALUE = {'epoch': 1, 'state_dict': OrderedDict(w=torch.arange(6.0).view(2, 3), n=torch.tensor(5)),
         'optimizer': {'state': {0: {'step': 1, 'exp_avg': torch.ones(2, 3)}}, 'param_groups': []}}
SEEDS = {container: saved(VALUE, container) for container in CONTAINERS}
SEEDS['python 2'] = legacy(b'(' + tensor((4,), (1,)) + tensor((2, 2), (1, 2)) + b'I01\nt')


@pytest.mark.parametrize('seed', SEEDS)
def test_truncated_anywhere(tmp_path, seed):
    for end in range(0, len(SEEDS[seed]), 5):
        complaint(tmp_path, SEEDS[seed][:end])
