"""Files of `torch.save`, in both containers: the tensors that `torch.load` reads, and nothing but tensors and data."""

import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from common.files import torch_file
from tests.helpers.make_damage import damage, damage_pickle
from tests.helpers.make_pickles import ATTACKS, BIG, call, doubled, lit, name, tup

CONTAINERS = ['legacy', 'zip']
DTYPES = list(torch_file._DTYPES.values())


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
    return str(caught.value)


def assert_same(found, expected):
    if isinstance(expected, torch.Tensor):
        assert type(found) is torch.Tensor
        assert (found.dtype, found.shape, found.device.type) == (expected.dtype, expected.shape, 'cpu')
        assert found.stride() == expected.stride()
        assert found.contiguous().view(-1).view(torch.uint8).tolist() == expected.detach().contiguous().view(-1).view(
            torch.uint8).tolist()
    elif isinstance(expected, dict):
        assert type(found) is type(expected)
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected):
            assert_same(mine, theirs)
    else:
        assert (type(found), found) == (type(expected), expected)


# What comes through.

@pytest.mark.parametrize('container', CONTAINERS)
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_dtypes(tmp_path, container, dtype):
    base = torch.arange(24).reshape(2, 3, 4).remainder(2 if dtype == torch.bool else 24).to(dtype)
    value = [base, base[0, 1, 2], base[:0], base.transpose(0, 2), base[:, 1:, ::2], base[1], base.new_zeros(3, 0)]
    content = saved(value, container)
    assert_same(read(tmp_path, content), torch.load(io.BytesIO(content), weights_only=True))
    assert_same(read(tmp_path, content), value)


@pytest.mark.parametrize('container', CONTAINERS)
def test_values_that_compare_badly(tmp_path, container):
    value = torch.tensor([float('nan'), -0.0, float('inf'), 1e-45])
    assert_same(read(tmp_path, saved(value, container)), value)


@pytest.mark.parametrize('container', CONTAINERS)
def test_shared_storages_stay_shared(tmp_path, container):
    base = torch.zeros(4, 5)
    found = read(tmp_path, saved({'whole': base, 'row': base[2], 'again': base}, container))
    found['row'][3] = 7
    assert found['whole'][2, 3] == 7
    assert found['again'][2, 3] == 7
    assert found['whole'].sum() == 7


@pytest.mark.parametrize('container', CONTAINERS)
def test_modules_and_optimizers(tmp_path, container):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    value = {'epoch': 3, 'lr': 1e-3, 'state_dict': model.state_dict(), 'optimizer': optimizer.state_dict(),
             'random': torch.get_rng_state(), 'more': OrderedDict([('é', (1, None, True))]), 'path': 'x' * 300}
    found = read(tmp_path, saved(value, container))
    assert_same(found, value)
    parameter = read(tmp_path, saved({'p': nn.Parameter(torch.ones(2))}, container))['p']
    assert type(parameter) is torch.Tensor
    assert not parameter.requires_grad


@pytest.mark.parametrize('container', CONTAINERS)
@pytest.mark.parametrize('value', [None, 5, 'text', [], {}, [1, {'a': (2.5, False)}]])
def test_without_tensors(tmp_path, container, value):
    assert_same(read(tmp_path, saved(value, container)), value)


def test_views_of_storages_as_pytorch_0_wrote_them(tmp_path):
    """A storage that is a window of another: offsets of its tensors count from the window's start."""
    window = storage(6, view=b'X\x01\0\0\0v' + lit(2) + lit(3) + b'\x87')
    content = legacy(tensor((2,), (1,), offset=1, of=window), storages={'0': torch.arange(6.0)})
    assert read(tmp_path, content).tolist() == [3, 4]
    too_far = legacy(tensor((3,), (1,), offset=1, of=window), storages={'0': torch.arange(6.0)})
    assert 'larger than its storage' in complaint(tmp_path, too_far)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        torch_file.read(str(tmp_path / 'nothing'))
    with pytest.raises(IsADirectoryError):
        torch_file.read(str(tmp_path))


# Files by hand.

def storage(length, key='0', kind='FloatStorage', module='torch', location='cpu', view=b'N'):
    return tup(lit('storage'), name(module, kind), lit(key), lit(location), lit(length), view) + b'Q'


def tensor(size, stride, offset=0, of=None, function='_rebuild_tensor_v2'):
    return call(name('torch._utils', function), of or storage(4), lit(offset), lit(size), lit(stride), lit(False), b'N')


def legacy(content, keys=None, storages=None, system=None, magic=torch_file._MAGIC, protocol=torch_file._PROTOCOL):
    """A file of the legacy container, by the opcodes of its content."""
    storages = {'0': torch.arange(4.0)} if storages is None else storages
    system = {'protocol_version': protocol, 'little_endian': True, 'type_sizes': {}} if system is None else system
    parts = [pickle.dumps(part, 2) for part in (magic, protocol, system)]
    parts += [b'\x80\x02' + content + b'.', pickle.dumps(list(storages) if keys is None else keys, 2)]
    for values in storages.values():
        parts.append(values if isinstance(values, bytes) else struct.pack('<q', len(values)) + values.numpy().tobytes())
    return b''.join(parts)


def zipped(content, storages=None, more=(), compression=zipfile.ZIP_STORED):
    """A file of the zip container, by the opcodes of its content."""
    storages = {'0': torch.arange(4.0)} if storages is None else storages
    members = [('archive/data.pkl', b'\x80\x02' + content + b'.'), ('archive/byteorder', b'little'),
               *((f'archive/data/{key}', values if isinstance(values, bytes) else values.numpy().tobytes())
                 for key, values in storages.items()), *more]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', compression) as archive:
        for member, data in members:
            archive.writestr(member, data)
    return buffer.getvalue()


@pytest.mark.parametrize('make', [legacy, zipped])
def test_files_by_hand_are_right(tmp_path, make):
    """So that the next tests are refused for what they change."""
    assert read(tmp_path, make(tensor((2, 2), (2, 1)))).tolist() == [[0, 1], [2, 3]]
    assert read(tmp_path, make(tensor((2, 2), (1, 2)))).tolist() == [[0, 2], [1, 3]]
    assert read(tmp_path, make(tensor((), (), offset=3))).tolist() == 3
    assert read(tmp_path, make(tensor((0,), (1,), offset=4))).tolist() == []
    assert read(tmp_path, make(storage(4))).tolist() == [0, 1, 2, 3]
    assert read(tmp_path, make(tensor((4,), (1,), function='_rebuild_tensor'))).tolist() == [0, 1, 2, 3]
    cuda = tensor((4,), (1,), of=storage(4, module='torch.cuda', location='cuda:0'))
    assert read(tmp_path, make(cuda)).device.type == 'cpu'


HUGE = (1 << 62) - 1


@pytest.mark.parametrize('make', [legacy, zipped])
@pytest.mark.parametrize(('reason', 'contents'), [
    ('claims more numbers than the file holds', [
        storage(BIG), storage(HUGE), storage(1 << 80), storage(500, kind='LongStorage'),
        b']' + b''.join(storage(60, key=str(n)) + b'a' for n in range(100))]),
    ('not a tensor\'s storage', [
        storage(-4), storage(4.0), storage(None), storage(True), storage(4, key=None), storage(4, key=(1,)),
        storage(4, key=1.0), lit('id') + b'Q', b'P0\n', tup(lit('storage')) + b'Q', doubled(b')') + b'Q',
        tup(lit('module'), name('torch', 'FloatStorage'), lit('0'), lit('cpu'), lit(4)) + b'Q',
        tup(lit('storage'), lit('FloatStorage'), lit('0'), lit('cpu'), lit(4)) + b'Q',
        tup(lit('storage'), name('torch', 'FloatStorage'), tup(doubled(b')')), lit('cpu'), lit(4)) + b'Q']),
    ('instead of', [storage(3), storage(5)]),
    ('do not agree', [b'(' + storage(4) + storage(4, kind='IntStorage') + b't', b'(' + storage(4) + storage(2) + b't']),
    ('larger than its storage', [
        tensor((5,), (1,)), tensor((4,), (2,)), tensor((4,), (1,), offset=1), tensor((), (), offset=4),
        tensor((0,), (1,), offset=5), tensor((0,), (1,), offset=HUGE), tensor((BIG,), (0,)), tensor((3, 3), (1, 1)),
        tensor((1,), (1,), offset=-1), tensor((BIG, BIG), (0, 0)), tensor((2, 1 << 47), (1 << 47, 0))]),
    ('shape is none', [
        tensor(size, (1,) * 2) for size in (
            (-1, 1), (-2, -2), (2.0, 1), [4, 1], 'ab', ([0], BIG), (True, 1), (1 << 70, 0), None, 4, ((1,), 1))]),
    ('absurd', [tensor((0, BIG), (1, 1))]),
    ('form that is not known', [
        tensor((2, 2), (HUGE, 1)), tensor((4,), (-1,), offset=3), tensor((4,), [1]), tensor((4,), (1.0,)),
        tensor((4,), (1,), offset='0'), tensor((4,), (1,), of=lit([1.0])),
        tensor((2,), (1,), of=tensor((2, 2), (2, 1)))]),
    ('damaged', [
        tensor((4,), (1, 1)), tensor((4,), ()), call(name('torch._utils', '_rebuild_tensor_v2')),
        *(storage(4, view=lit(view)) for view in (('v', 0, 5), ('v', -1, 2), ('v', 4, 1), 1, ('v', 'a', 'b')))]),
    ('parameter that is not a tensor', [call(name('torch._utils', '_rebuild_parameter'), lit('x'), lit(True))]),
    ('calls something', [call(name('torch', 'FloatStorage'), lit(BIG))]),
    ('not plain data', [name('torch', 'FloatStorage'), name('torch._utils', '_rebuild_tensor_v2'),
                        tensor((4,), (1,)) + b'(I1\n\x90']),
    ('of a Tensor', [tensor((4,), (1,)) + change for change in (lit({'data': 1}) + b'b', b'I0\nI1\ns')]),
    ('to a Tensor', [tensor((4,), (1,)) + b'I1\na']),
    ('keys are not', [b'}' + tensor((4,), (1,)) + b'Ns']),
    *((f'asks for {module}.{function},', [name(module, function), call(name(module, function), lit((4,)))])
      for module, function in (('torch', 'QInt8Storage'), ('torch', 'UntypedStorage'), ('torch', 'Size'),
                               ('torch._utils', '_rebuild_sparse_tensor'), ('torch.storage', '_load_from_bytes'),
                               ('torch.jit', 'load'), ('torch.serialization', 'os.system'))),
])
def test_forged_content(tmp_path, make, contents, reason):
    for content in contents:
        assert reason in complaint(tmp_path, make(content))


@pytest.mark.parametrize('make', [legacy, zipped])
@pytest.mark.parametrize('what', ATTACKS)
def test_attacks_on_the_unpickler(tmp_path, make, what):
    complaint(tmp_path, make(ATTACKS[what][:-1]))


@pytest.mark.parametrize('container', CONTAINERS)
def test_code_is_refused_by_name_and_does_not_run(tmp_path, container):
    marker = tmp_path / 'marker'

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    content = saved({'state_dict': {'w': torch.ones(2)}, 'x': Attack()}, container)
    torch.load(io.BytesIO(content), weights_only=False)
    assert marker.exists(), 'the attack itself does not work, so that the test says nothing'
    marker.rmdir()
    assert 'asks for posix.mkdir' in complaint(tmp_path, content)
    assert not marker.exists()


@pytest.mark.parametrize('make', [legacy, zipped])
def test_booleans_are_booleans(tmp_path, make):
    of = storage(4, kind='BoolStorage')
    good, bad = (b'\4\0\0\0\0\0\0\0' if make is legacy else b'') + b'\0\1\1\0', b'\0\2\1\0'
    assert read(tmp_path, make(of, storages={'0': good})).tolist() == [False, True, True, False]
    assert 'no booleans' in complaint(tmp_path, make(of, storages={'0': good[:-4] + bad}))


def test_views_that_repeat_a_storage_again_and_again(tmp_path):
    """A large storage and very many tensors on it: each is no larger than the storage, together they are endless."""
    numbers = 250_000
    of = storage(numbers) + b'q\x010'
    view = call(name('torch._utils', '_rebuild_tensor_v2'), b'h\x01', lit(0), lit((numbers,)), lit((1,)))
    content = of + b'](' + view * 1000 + b'e'
    assert 'more data than it holds' in complaint(tmp_path, legacy(content, storages={'0': torch.zeros(numbers)}))


@pytest.mark.parametrize('make', [legacy, zipped])
@pytest.mark.parametrize('length', [BIG, HUGE, 1 << 31])
def test_claimed_sizes_are_not_allocated(tmp_path, make, length, monkeypatch):
    asked = []
    zeros = torch.zeros
    monkeypatch.setattr(torch, 'zeros', lambda size, **options: asked.append(size) or zeros(min(size, 9), **options))
    tracemalloc.start()
    try:
        complaint(tmp_path, make(b'(' + storage(4) + storage(length, key='1') + b't'))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert asked == [4]


# The containers themselves.

@pytest.mark.parametrize(('reason', 'key', 'values'), [
    ('not written by torch.save', 'magic', [1, 'x', None, [], {}]), ('not written by torch.save', 'protocol', [1000]),
    ('big-endian', 'system', [{'little_endian': False}, {}, [1], 5]),
    ('list of storages', 'keys', [[], ['1'], ['0', '0'], ['0', '1'], ('0',), '0', [None], [['0']], {'0': 1}]),
    ('cut short', 'storages', [{'0': b''}, {'0': b'\4\0\0'}]),
    ('instead of', 'storages', [{'0': struct.pack('<q', length) + b'123'} for length in (4, -4, 5, 1 << 62)]),
    ('behind its end', 'storages', [{'0': struct.pack('<q', 4) + bytes(17)}]),
])
def test_forged_legacy_containers(tmp_path, reason, key, values):
    for value in values:
        assert reason in complaint(tmp_path, legacy(tensor((4,), (1,)), **{key: value}))


@pytest.mark.parametrize(('reason', 'key', 'values'), [
    ("'data/0'", 'storages', [{}, {'1': torch.arange(4.0)}]),
    ('bytes instead of 16', 'storages', [{'0': bytes(15)}, {'0': bytes(17)}, {'0': b''}]),
    ('two members of one name', 'more', [[('archive/data/0', bytes(16))], [('b/data.pkl', b'.')]]),
    ('compressed', 'compression', [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
])
@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_forged_zip_containers(tmp_path, reason, key, values):
    for value in values:
        assert reason in complaint(tmp_path, zipped(tensor((4,), (1,)), **{key: value}))


def test_zip_containers_of_another_kind(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('positions_3d.npy', b'x')
    assert 'not written by torch.save' in complaint(tmp_path, buffer.getvalue())
    big = zipped(tensor((4,), (1,))).replace(b'little', b'bigger')
    assert 'CRC' in complaint(tmp_path, big)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('a/data.pkl', b'N.')
        archive.writestr('a/byteorder', b'big')
    assert 'big-endian' in complaint(tmp_path, buffer.getvalue())


@pytest.mark.parametrize(('offset', 'value', 'reason'), [
    (20, struct.pack('<II', 0x7fffffff, 0x7fffffff), 'larger than itself'),  # both sizes
    (24, struct.pack('<I', 0x7fffffff), 'larger than itself'), (20, struct.pack('<I', 1), 'larger than itself'),
    (8, b'\1\0', 'encrypted'), (10, b'\x08\0', 'compressed'),
])
def test_zip_members_that_claim(tmp_path, offset, value, reason):
    content = bytearray(zipped(tensor((4,), (1,))))
    place = content.index(b'PK\1\2')
    content[place + offset:place + offset + len(value)] = value
    tracemalloc.start()
    try:
        assert reason in complaint(tmp_path, bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def tar_file():
    """What PyTorch 0.1 wrote."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for member in ('storages', 'tensors', 'pickle'):
            info = tarfile.TarInfo(member)
            info.size = 4
            archive.addfile(info, io.BytesIO(b'N.\0\0'))
    return buffer.getvalue()


@pytest.mark.parametrize('content', [
    b'', b'P', b'PK', b'PK\3\4', b'PK\3\4' + bytes(100), tar_file(), pickle.dumps({'state_dict': {}}), b'text\n' * 50,
    b'\x93NUMPY', b'\x1f\x8b\x08\0' * 9, b'\x89PNG\r\n\x1a\n', bytes(1000), b'\xff' * 1000,
    b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', b'<!DOCTYPE html><html></html>',
])
def test_files_of_other_kinds(tmp_path, content):
    complaint(tmp_path, content)


# Fuzzing: tensors or one of two exceptions, nothing else.

VALUE = {'epoch': 1, 'state_dict': OrderedDict(w=torch.arange(6.0).view(2, 3), n=torch.tensor(5)),
         'optimizer': {'state': {0: {'step': 1, 'exp_avg': torch.ones(2, 3)}}, 'param_groups': []}}
SEEDS = {container: saved(VALUE, container) for container in CONTAINERS}
SEEDS['hand'] = legacy(b'(' + tensor((4,), (1,)) + tensor((2, 2), (1, 2)) + b't')
PICKLES = [zipfile.ZipFile(io.BytesIO(SEEDS['zip'])).read('archive/data.pkl'),
           b'\x80\x02' + tensor((2, 2), (1, 2), of=storage(6)) + b'.']


@pytest.mark.parametrize('container', SEEDS)
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(rng=st.randoms(use_true_random=False))
def test_fuzz(tmp_path_factory, container, rng):
    path = tmp_path_factory.getbasetemp() / 'fuzz.pth.tar'
    path.write_bytes(damage(rng, [SEEDS[container]], list(SEEDS.values())))
    try:
        torch_file.read(str(path))
    except (pickle.UnpicklingError, OSError) as error:
        assert len(str(error)) < 500


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(rng=st.randoms(use_true_random=False))
def test_fuzz_pickles(tmp_path_factory, rng):
    """The pickle damaged opcode by opcode, in an archive whose checksums are right."""
    path = tmp_path_factory.getbasetemp() / 'fuzz.pth.tar'
    path.write_bytes(zipped(damage_pickle(rng, PICKLES)[:-1], {'0': torch.arange(6.0), '1': torch.tensor([5])}))
    try:
        torch_file.read(str(path))
    except (pickle.UnpicklingError, OSError) as error:
        assert len(str(error)) < 500


@pytest.mark.parametrize('container', SEEDS)
def test_truncated_anywhere(tmp_path, container):
    for end in range(0, len(SEEDS[container]), 5):
        complaint(tmp_path, SEEDS[container][:end])


def test_bytes_lost_amid_an_archive(tmp_path):
    """Its directory then points to before its beginning."""
    for place in range(10, len(SEEDS['zip']) - 10, 50):
        complaint(tmp_path, SEEDS['zip'][:place] + SEEDS['zip'][place + 3:])
