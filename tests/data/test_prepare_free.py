"""data_3d_free.npz from an archive of clips: subjects, actions and splits of the table, clips around the origin."""

import numpy as np
import pytest

from common.datasets import h36m
from common.datasets.loading import DataOptions, load_dataset
from common.datasets.splits import Data
from data import prepare_data_free
from tests.helpers.make_detections import demo_person

NAMES = ('cmu_014_02|maxxgx/motion-graphs', 'cmu_049_01|maxxgx/motion-graphs')


def archive(path, names=NAMES, fps=30.0):
    take = demo_person()['Walking'] + np.float32([7, -3, 0])
    np.savez(path, positions=np.concatenate([take] * 2), clip=np.repeat([0, 1], len(take)).astype(np.int32),
             names=np.array(names), fps=np.full(2, fps, np.float32))
    return take


def test_clips_get_their_subjects_actions_and_splits(tmp_path, script):
    table = prepare_data_free.read_table()
    assert len(table) == 945 and set(NAMES) <= set(table)
    take = archive(tmp_path / 'clips.npz')
    status, out, err = script(prepare_data_free.main, '--from-source', tmp_path / 'clips.npz', '--output', tmp_path)
    assert status == 0 and 'cmu_049' in out, err
    dataset = load_dataset('free', str(tmp_path))
    assert (dataset.train_subjects, dataset.test_subjects, dataset.fps) == (('cmu_014',), ('cmu_049',), 30)
    assert dataset.skeleton == h36m.skeleton()
    made = dataset.positions['cmu_014']['Everyday']
    np.testing.assert_allclose(made - made[:1, :1], take - take[:1, :1], atol=1e-5)
    assert np.abs(made[:, 0, :2].mean(0)).max() < 1e-5
    assert Data(DataOptions(dataset='free', data_dir=str(tmp_path))).test().kind_names == ['Everyday', 'Gymnastics']


def test_several_archives_make_one_set_and_other_clips_are_left_out(tmp_path, script):
    archive(tmp_path / 'clips.npz')
    names = 'prmd_s01_m01_e03_right|niemasd/UI-PRMD-Analysis', 'prmd_s01_m01_e04_right|x'
    take = archive(tmp_path / 'more.npz', names)
    status, _, err = script(prepare_data_free.main, '--from-source', tmp_path / 'clips.npz', tmp_path / 'more.npz',
                            '--output', tmp_path)
    assert status == 0 and '1 of the 2 clips' in err and 'prmd_s01_m01_e04_right|x' in err
    dataset = load_dataset('free', str(tmp_path))
    assert dataset.train_subjects == ('cmu_014', 'prmd_01') and list(dataset.positions['prmd_01']) == [
        'Exercise squat 3']
    assert dataset.positions['prmd_01']['Exercise squat 3'].shape == take.shape


@pytest.mark.parametrize('names, fps, words', [
    (('somebody|somewhere', 'nobody|nowhere'), 30, 'does not name'), (NAMES, 60, '30 frames a second')])
def test_archives_that_do_not_fit_are_refused(tmp_path, script, names, fps, words):
    archive(tmp_path / 'clips.npz', names, fps)
    status, _, err = script(prepare_data_free.main, '--from-source', tmp_path / 'clips.npz', '--output', tmp_path)
    assert status == 2 and words in err
