"""The splits and their cache: the same poses to the bit, never of other sources or options, never in the way."""

import dataclasses
import hashlib
import multiprocessing
import os
import time

import numpy as np
import pytest
import torch

import main_gcn
from common.datasets import cache as pose_cache
from common.datasets import h36m, loading
from common.datasets import splits as prepared
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.errors import UserError
from common.files import npz
from tests.conftest import moving_people
from tests.datasets.test_loading import pixels_of, write_2d

DATA_3D = 'data_3d_tiny.npz'


@pytest.fixture
def folder(data_dir, monkeypatch):
    """A data folder whose files are old enough for the cache, and large enough."""
    monkeypatch.setattr(pose_cache, 'SMALL', 0)
    age(data_dir / DATA_3D)
    return data_dir


@pytest.fixture
def unreadable(monkeypatch):
    """Call it, and whoever reads a source from then on fails."""
    def forbid():
        for name in ('load_dataset', 'load_keypoints'):
            monkeypatch.setattr(prepared, name, lambda *_: pytest.fail('a source was read'))
    return forbid


def age(path, seconds=60):
    then = time.time() - seconds
    os.utime(path, (then, then))


def options(folder, **changes):
    return DataOptions(**{'dataset': 'tiny', 'data_dir': str(folder), **changes})


def kept(folder):
    return sorted(os.listdir(folder / 'cache')) if (folder / 'cache').is_dir() else []


def assert_same(one, two):
    for name, tensor in one.tensors().items():
        other = two.tensors()[name]
        assert tensor.dtype == other.dtype and torch.equal(tensor, other)
    assert one.kind_names == two.kind_names
    for mine, yours in zip(one.cameras, two.cameras, strict=True):
        assert all(np.array_equal(getattr(mine, field.name), getattr(yours, field.name))
                   for field in dataclasses.fields(mine))


CHOICES = [{}, {'downsample': 5}, {'actions': ('Walking',)}, {'val_subjects': ('S5',)}]


@pytest.mark.parametrize('choice', CHOICES)
def test_what_comes_from_the_cache_is_what_went_in(folder, unreadable, choice):
    first = Data(options(folder, **choice))
    train, test, spec = first.train(), first.test(), first.spec
    assert len(kept(folder)) == 2
    unreadable()
    again = Data(options(folder, **choice))
    assert again.spec.skeleton == spec.skeleton == h36m.skeleton()
    assert spec.test_subjects == again.test_subjects == ('S9',)
    assert_same(again.train(), train)
    assert_same(again.test(), test)


def test_the_splits_are_the_published_ones_without_those_kept_out(folder):
    for _ in range(2):  # made, then from the cache
        data = Data(options(folder, val_subjects=('S1',)))
        assert {camera.translation.tobytes() for camera in data.train().cameras} == {
            camera.translation.tobytes() for camera in loading.load_dataset('tiny', str(folder)).cameras['S5']}
        assert len(data.train()) == len(data.validation()) == len(data.test()) == 3 * 12 * 4
        assert not torch.equal(data.validation().positions, data.train().positions)
    assert len(kept(folder)) == 3


def test_other_options_have_files_of_their_own(folder):
    lengths = [(len(data.train()), len(data.test())) for _ in range(2)  # from the cache, the second time
               for data in (Data(options(folder, **choice)) for choice in CHOICES)]
    assert lengths == [(288, 144), (72, 36), (192, 96), (144, 144)] * 2
    assert len(kept(folder)) == 7  # the test split does not depend on who is kept out of training
    with pytest.raises(UserError, match='no action Flying'):
        Data(options(folder, actions=('Flying',))).train()


@pytest.mark.parametrize('change', ['content', 'time'])
def test_a_source_that_changes_is_noticed_and_the_old_files_go(folder, change):
    data = Data(options(folder))
    before, names = data.train(), kept(folder)
    data.test()
    (folder / 'cache' / f'.{names[0]}.abc.npz').write_bytes(b'of a run that was killed')
    size = (folder / DATA_3D).stat().st_size
    if change == 'content':
        npz.write_npz(str(folder / DATA_3D), positions_3d=moving_people(seed=1))
        assert (folder / DATA_3D).stat().st_size != size
    age(folder / DATA_3D, 30)
    after = Data(options(folder)).train()
    assert torch.equal(before.positions, after.positions) == (change == 'time')
    assert len(kept(folder)) == 1 and kept(folder) != names  # the new training split; nothing of the old source
    assert_same(Data(options(folder)).train(), after)


def test_a_file_of_2d_that_appears_is_used(folder):
    projected = Data(options(folder)).train()
    shifted = {subject: {action: [view + 10 for view in views] for action, views in actions.items()}
               for subject, actions in pixels_of(moving_people()).items()}
    write_2d(folder, shifted, 'data_2d_tiny_gt')
    age(folder / 'data_2d_tiny_gt.npz')
    for _ in range(2):
        found = Data(options(folder)).train()
        torch.testing.assert_close(found.keypoints, projected.keypoints + 10 / 1000 * 2, rtol=0, atol=5e-4)


def test_a_source_that_is_gone_is_an_error_though_its_poses_are_kept(folder):
    Data(options(folder)).train()
    os.unlink(folder / DATA_3D)
    with pytest.raises(UserError, match='is missing'):
        Data(options(folder)).train()


DAMAGES = {
    'empty': lambda content: b'',
    'cut': lambda content: content[:len(content) // 2],
    'a bit': lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    'no zip': lambda content: b'x' * len(content),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_file_is_made_again(folder, damage, capsys):
    whole = Data(options(folder)).train()
    (name,) = kept(folder)
    path = folder / 'cache' / name
    content = path.read_bytes()
    path.write_bytes(DAMAGES[damage](content))
    assert_same(Data(options(folder)).train(), whole)
    assert path.read_bytes() == content and not capsys.readouterr().err


def test_an_archive_of_something_else_is_made_again(folder):
    whole = Data(options(folder)).train()
    path = folder / 'cache' / kept(folder)[0]
    for entries in ({'about': np.zeros(3, np.uint8)}, {'about': np.frombuffer(b'{"spec": {}}', np.uint8)},
                    {'keypoints': np.zeros(3)}):
        np.savez(path, **entries)
        data = Data(options(folder))
        assert data.spec.name == 'tiny'
        assert_same(data.train(), whole)


def test_a_folder_that_cannot_be_written_is_no_error(folder, capsys):
    (folder / 'cache').write_text('a file where the folder would be')
    for _ in range(2):
        assert len(Data(options(folder)).train()) == 288
        (note,) = capsys.readouterr().err.splitlines()
        assert note.startswith('Note: ') and 'cannot be written' in note


def test_small_sources_and_such_as_were_just_written_are_not_kept(data_dir, monkeypatch):
    age(data_dir / DATA_3D)
    Data(options(data_dir)).train()
    assert not kept(data_dir)
    monkeypatch.setattr(pose_cache, 'SMALL', 0)
    age(data_dir / DATA_3D, 0)
    Data(options(data_dir)).train()
    assert not kept(data_dir)


def test_a_source_replaced_while_it_is_read_is_not_kept(folder, monkeypatch):
    def replaced(*choice):
        dataset = loading.load_dataset(*choice)
        age(folder / DATA_3D, 30)
        return dataset
    monkeypatch.setattr(prepared, 'load_dataset', replaced)
    assert len(Data(options(folder)).train()) == 288
    assert not kept(folder)


def test_warnings_are_printed_again_each_once(folder, capsys):
    people = moving_people()
    npz.write_npz(str(folder / DATA_3D), positions_3d={**people, 'Alice': people['S1']})
    content = pixels_of(people, extra=3)
    del content['S5']['Eating']
    write_2d(folder, content)
    for name in (DATA_3D, 'data_2d_tiny_det.npz'):
        age(folder / name)
    printed = []
    for _ in range(2):
        data = Data(options(folder, keypoints='det'))
        data.train()
        data.test()
        printed.append(capsys.readouterr().err.splitlines())
    assert printed[0] == printed[1]
    assert [sum(word in line for line in printed[1]) for word in ('Alice', 'are cut', 'no 2D')] == [1, 2, 1]


def test_a_second_training_reads_no_source_and_gives_the_same_log(folder, unreadable, monkeypatch, script):
    monkeypatch.chdir(folder.parent)
    arguments = ['-d', 'tiny', '--device', 'cpu', '-z', '8', '-l', '1', '-e', '1']
    logs = []
    for run in ('one', 'two'):
        status, _, err = script(main_gcn.main, *arguments, '-c', run)
        assert status == 0, err
        unreadable()
        (log,) = (folder.parent / run).glob('*/log.txt')
        logs.append(log.read_text())
    assert logs[0] == logs[1]


def read_while_it_is_damaged(folder, files):
    """Hashes of the splits, read ten times; after each the files of the cache are damaged, to be made again."""
    found = []
    for _ in range(10):
        data = Data(options(folder))
        found += [hashlib.sha256(poses.positions.numpy()).hexdigest() for poses in (data.train(), data.test())]
        for path in files:
            with open(path, 'r+b') as file:
                file.write(b'damage')
    return found


def test_two_processes_at_once(folder, capfd):
    data = Data(options(folder))
    expected = [hashlib.sha256(poses.positions.numpy()).hexdigest() for poses in (data.train(), data.test())] * 10
    files = [str(folder / 'cache' / name) for name in kept(folder)]
    with multiprocessing.get_context('fork').Pool(2) as pool:
        assert pool.starmap(read_while_it_is_damaged, [(folder, files)] * 2, 1) == [expected] * 2
    assert len(kept(folder)) == 2 and not capfd.readouterr().err


def test_a_change_of_the_preparation_needs_a_new_version(folder):
    """Where these numbers change, old caches are wrong: raise pose_cache.VERSION, then write the new numbers here."""
    poses = Data(options(folder)).train()
    sums = [tensor.double().abs().sum().item() for tensor in poses.tensors().values()]
    assert pose_cache.VERSION == 3
    assert sums == pytest.approx([2414.424018, 1848.516725, 1742.567635, 192, 1008, 1584], rel=1e-6)
