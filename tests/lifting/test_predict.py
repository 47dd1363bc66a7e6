"""predict.py from the command line: every format to the same 3D, people to files of their own, warnings, errors."""

import json
import re
import sys

import numpy as np
import pytest
import torch

import predict
from common import checkpoint, inference
from common.datasets import h36m
from common.datasets.poses import measure_range
from common.geometry.camera import normalize_screen
from common.geometry.upright import to_upright
from common.lifting import lifter
from common.lifting.lifter import Lifter
from common.lifting.motion.floor import mean_camera_pitch
from common.lifting.tracks.framing import DEFAULT_RANGE, usable_range
from models.config import ModelConfig, build_model
from tests.helpers.layouts import spread
from tests.helpers.make_detections import COCO_LIKE, demo_walking, write

SIZE = (1000, 1000)


@pytest.fixture(scope='module')
def walking():
    return demo_walking(2)


def save_model(path, recipe=None, seen=None):
    torch.manual_seed(0)
    config = ModelConfig('gcn', hid_dim=8, num_layers=1)
    state = build_model(config, h36m.skeleton()).state_dict()
    kept = checkpoint.Checkpoint(1, 1e-3, 1, state, None, 50.0, config, recipe=recipe or {}, keypoints_range=seen or {})
    kept.save(str(path))
    return str(path)


@pytest.fixture
def model(tmp_path):
    return save_model(tmp_path / 'model.pth.tar')


@pytest.fixture
def run(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: script(predict.main, *arguments)


def lifted(run, model, path, *arguments):
    status, out, err = run('--checkpoint', model, '--input', path, '--output', 'out.npz', '--no_smooth',
                           *arguments)
    assert status == 0, err
    return dict(np.load('out.npz')), out, err


def test_every_format_gives_the_same_3d(run, model, walking, tmp_path):
    np.save(tmp_path / 'plain.npy', joints := spread(walking, 'coco17'))
    expected = Lifter(model)(joints, SIZE, 'coco17')
    for format in COCO_LIKE:
        made, out, _ = lifted(run, model, write(tmp_path, format, [joints]), '--size', '1000x1000')
        np.testing.assert_allclose(made['positions_3d'], expected, atol=1e-5, err_msg=format)
        assert 'layout coco17' in out and 'approximated' in out
    made, _, _ = lifted(run, model, 'plain.npy', '--size', '1000x1000', '--layout', 'coco17')
    np.testing.assert_allclose(made['positions_3d'], expected, atol=1e-6)
    body = spread(walking, 'body25')
    made, _, _ = lifted(run, model, write(tmp_path, 'openpose', [body]), '--size', '1000x1000')
    np.testing.assert_allclose(made['positions_3d'], Lifter(model)(body, SIZE), atol=1e-5)


def test_the_16_joints_come_back_as_the_engine_lifts_them(run, model, walking, tmp_path):
    network = checkpoint.restore_model(checkpoint.load_checkpoint(model), model, h36m.skeleton())
    direct = inference.predict(network, torch.from_numpy(normalize_screen(walking, *SIZE).astype(np.float32)))
    for name in ('h36m16', 'h36m17'):
        np.save(tmp_path / 'k.npy', spread(walking, name))
        made, _, _ = lifted(run, model, 'k.npy', '--size', '1000x1000', '--layout', name)
        np.testing.assert_allclose(made['positions_3d'], direct.numpy(), atol=1e-5)


def test_files_hold_what_the_documentation_says(run, model, walking, tmp_path):
    np.save(tmp_path / 'k.npy', spread(walking, 'coco17'))
    made, out, _ = lifted(run, model, 'k.npy', '--size', '1000x1000', '--layout', 'coco17')
    count = len(walking)
    shapes = {name: value.shape for name, value in made.items()}
    assert shapes == {'positions_3d': (count, 16, 3), 'root': (count, 3), 'guessed': (count, 16), 'focal': (),
                      'frames': (count,), 'scores': (count, 16), 'track': (),
                      'keypoints_2d': (count, 16, 2), 'interpolated': (count, 16), 'swapped': (count, 2),
                      'joint_names': (16,), 'bones': (15, 2), 'image_size': (2,), 'fps': (), 'axes': (), 'units': (),
                      'checkpoint': ()}
    assert not any(value.dtype.hasobject for value in made.values())
    assert (made['positions_3d'][:, 0] == 0).all() and 'x right, y down, z forward' in out
    status, _, err = run('--checkpoint', model, '--input', 'k.npy', '--output', 'out.json', '--size', '1000x1000',
                         '--layout', 'coco17')
    assert status == 0, err
    content = json.loads((tmp_path / 'out.json').read_text())
    assert content.keys() == made.keys() and content['fps'] is None and content['track'] == 0
    np.testing.assert_allclose(content['scores'], made['scores'], atol=1e-6)
    again, _, _ = lifted(run, model, 'out.npz', '--size', '1000x1000')  # its own output is an input
    np.testing.assert_allclose(again['positions_3d'], made['positions_3d'], atol=1e-4)


def test_every_person_gets_files_of_their_own(run, model, walking, tmp_path):
    people = [spread(walking * 0.5, 'coco17'), spread(walking[::-1] * 0.5 + (450, 300), 'coco17')]
    path = write(tmp_path, 'alphapose', people, ids=[4, 9])
    arguments = ('--checkpoint', model, '--input', path, '--size', '1000x1000', '--output', 'out.npz')
    status, _, err = run(*arguments, '--bvh', 'out.bvh')
    assert status == 0, err
    assert {file.name for file in tmp_path.glob('out*')} == {'out_4.npz', 'out_9.npz', 'out_4.bvh', 'out_9.bvh'}
    assert np.load('out_9.npz')['track'] == 9
    status, _, err = run(*arguments, '--person', '9')
    assert status == 0 and np.load('out.npz')['track'] == 9
    status, _, err = run(*arguments, '--person', '5')
    assert status == 2 and 'has the people 4, 9' in err
    status, _, err = run('--checkpoint', model, '--input', write(tmp_path, 'coco', people), '--size', '1000x1000',
                           '--output', 'm.npz', '--render', 'two.png', '--viz_size', '2')
    assert status == 0, err
    assert (tmp_path / 'm_0.npz').exists() and (tmp_path / 'm_1.npz').exists() and (tmp_path / 'two.png').exists()


def test_gaps_are_told_marked_and_left_where_they_are_long(run, model, walking, tmp_path):
    joints, scores = spread(walking, 'h36m16'), np.full((len(walking), 16, 1), 0.9)
    scores[5:8, 3], scores[15:30, 6] = 0.05, 0.0
    np.save(tmp_path / 'k.npy', np.concatenate([joints, scores], -1))
    made, out, err = lifted(run, model, 'k.npy', '--size', '1000x1000', '--layout', 'h36m16', '--bvh', 'o.bvh')
    assert np.argwhere(made['interpolated']).tolist() == [[5, 3], [6, 3], [7, 3]]
    assert np.flatnonzero(np.isnan(made['positions_3d']).all((1, 2))).tolist() == list(range(15, 30))
    assert 'joints interpolated in 3' in out and 'stay empty' in err and '15 frames without a pose' in err
    status, _, err = run('--checkpoint', model, '--input', 'k.npy', '--output', 'o.json', '--size', '1000x1000',
                           '--layout', 'h36m16', '--max_gap', '20')
    assert status == 0 and 'stay empty' not in err
    assert None not in np.array(json.loads((tmp_path / 'o.json').read_text())['positions_3d']).ravel().tolist()


@pytest.mark.parametrize('change, sentence', [
    (lambda k: k * 0.2 + 400, r'the person is 0\.\d\d high in an image that counts as 2 wide, .* 0\.28 to 0\.95'),
    (lambda k: k + (600, 0), r'the hip is at x = \d'),
    (lambda k: k + (0, 700), r'\d% of the joints lie outside the image'),
])
def test_warnings_have_numbers(run, model, walking, tmp_path, change, sentence):
    np.save(tmp_path / 'k.npy', change(walking))
    _, _, err = lifted(run, model, 'k.npy', '--size', '1000x1000', '--layout', 'h36m16')
    assert re.search(sentence, err)
    assert all(line.startswith('Warning: ') for line in err.splitlines())


def test_wide_images_and_partial_people_are_told(run, model, walking, tmp_path):
    scores = np.full((len(walking), 16, 1), 0.9)
    scores[:, [2, 5, 3, 6]] = 0.2
    np.save(tmp_path / 'k.npy', np.concatenate([walking, scores], -1))
    arguments = ('k.npy', '--layout', 'h36m16', '--size', '1920x1080')
    _, _, err = lifted(run, model, *arguments)
    assert '1.78 times as wide as high' in err and 'in 100% of' in err and 'only the upper body' in err
    assert '1.78 times' not in lifted(run, model, *arguments, '--center_crop', 'yes')[2]
    scores[:, 1:7] = scores[:, 10:] = 0.2
    np.save(tmp_path / 'k.npy', np.concatenate([walking, scores], -1))
    assert 'only the face or the shoulders' in lifted(run, model, *arguments)[2]


def test_center_crop_makes_place_and_size_irrelevant(model, walking):
    lift = Lifter(model)
    here = lift(walking, SIZE, 'h36m16', center_crop=True)
    there = lift(walking * 0.3 + (900, 100), (1920, 1080), 'h36m16', center_crop=True)
    np.testing.assert_allclose(there, here, atol=1e-5)


def test_long_clips_are_lifted_in_parts(model, rng, monkeypatch):
    poses = rng.uniform(-0.5, 0.5, (8, 16, 2))
    poses[[1, 6, 7], 3] = np.nan
    whole = Lifter(model).lift(poses)
    assert np.isnan(whole).all((1, 2)).tolist() == [False, True, False, False, False, False, True, True]
    monkeypatch.setattr(lifter, '_CHUNK', 3)  # so that one part is all NaN
    np.testing.assert_allclose(Lifter(model).lift(poses), whole, atol=1e-6)


def test_the_checkpoint_tells_what_it_was_trained_on_and_where_people_were(run, walking, tmp_path):
    np.save(tmp_path / 'k.npy', spread(walking, 'mpii16', 'sh'))
    results = {}
    seen = {'height': [0.01, 0.02, 0.03], 'hip_x': [-1.0, 0.0, 1.0], 'hip_y': [-1.0, 0.0, 1.0]}
    for keypoints in ('gt', 'sh_ft_h36m', None):
        path = save_model(tmp_path / 'm.pth.tar', keypoints and {'keypoints': keypoints}, seen)
        made, out, err = lifted(run, path, 'k.npy', '--size', '1000x1000', '--layout', 'mpii16')
        results[keypoints] = made['keypoints_2d'][:, 7]
        assert '0.01 to 0.03' in err
        assert {'gt': 'ground truth, as it records', 'sh_ft_h36m': 'Stacked Hourglass detections, as it records',
                None: 'which is assumed'}[keypoints] in out
    np.testing.assert_allclose(results['sh_ft_h36m'], walking[:, 7], atol=1e-3)
    np.testing.assert_array_equal(results['gt'], results[None])
    made, _, _ = lifted(run, path, 'k.npy', '--size', '1000x1000', '--layout', 'mpii16', '--trained_on', 'sh')
    np.testing.assert_array_equal(made['keypoints_2d'][:, 7], results['sh_ft_h36m'])
    path = save_model(tmp_path / 'm.pth.tar', {'keypoints': 'gt'})
    status, _, err = run('--checkpoint', path, '--input', 'k.npy', '--output', 'o.npz', '--trained_on', 'sh')
    assert status == 2 and 'contradicts' in err


def test_training_records_the_range(data_dir, monkeypatch, script, rng):
    import main_gcn
    monkeypatch.chdir(data_dir.parent)
    status, _, err = script(main_gcn.main, '-d', 'tiny', '-e', '1', '-z', '8', '-l', '1', '--device', 'cpu')
    assert status == 0, err
    (folder,) = (data_dir.parent / 'checkpoint').iterdir()
    recorded = checkpoint.load_checkpoint(str(folder / 'ckpt_last.pth.tar')).keypoints_range
    assert usable_range(recorded) == recorded and Lifter(str(folder / 'ckpt_last.pth.tar')).range == recorded
    poses = rng.uniform(-1, 1, (500, 16, 2))
    assert measure_range(poses)['hip_x'][1] == pytest.approx(np.median(poses[:, 0, 0]), abs=1e-3)
    for damaged in ({}, {**DEFAULT_RANGE, 'height': [1.0]}, {**DEFAULT_RANGE, 'hip_x': ['a'] * 3},
                    {**DEFAULT_RANGE, 'height': [0.0] * 3}):
        assert usable_range(damaged) is None


def test_up_turns_by_the_pitch(run, model, walking, tmp_path):
    np.save(tmp_path / 'k.npy', walking)
    arguments = ('k.npy', '--size', '1000x1000', '--layout', 'h36m16')
    camera, _, _ = lifted(run, model, *arguments)
    level, _, _ = lifted(run, model, *arguments, '--up', '0')
    x, y, z = np.moveaxis(camera['positions_3d'], -1, 0)
    np.testing.assert_allclose(level['positions_3d'], np.stack([x, z, -y], -1), atol=1e-6)
    assert 'z up' in str(level['axes'])
    assert mean_camera_pitch() == pytest.approx(12.65, abs=0.01)
    # what is level, as a camera that looks down by 30 degrees has it
    down = np.array([0, -np.sin(np.radians(30)), np.cos(np.radians(30))])
    np.testing.assert_allclose(to_upright(down, 30), [0, 1, 0], atol=1e-9)


def test_a_single_pose_and_what_is_wrong_with_it(model, walking):
    lift = Lifter(model)
    single = lift(walking[3], SIZE, 'h36m16')
    assert single.shape == (16, 3) and single.dtype == np.float32
    np.testing.assert_allclose(single, lift(walking, SIZE, 'h36m16')[3], atol=1e-5)
    gappy = walking[:3].copy()
    gappy[1, 4] = np.nan
    assert np.isnan(lift(gappy, SIZE, 'h36m16')).any((1, 2)).tolist() == [False, True, False]
    for wrong, size in ((walking[None], SIZE), (walking[..., :1], SIZE), (walking, (0, 10))):
        with pytest.raises(ValueError):
            lift(wrong, size, 'h36m16')


@pytest.mark.parametrize('arguments, sentence', [
    (('--output', 'o.npz'), 'give --input, or a --video'), (('--input', 'k.npy'), 'nothing is asked for'),
    (('--input', 'k.npy', '--output', 'o.txt'), 'must end in .npz, .json, .csv, .trc or .bvh'),
    (('--input', 'k.npy', '--output', 'o.npz', '--layout', 'h36m16'), 'give --size WxH, or the --video'),
    (('--input', 'k.npy', '--bvh', 'o.npz'), 'must end in .bvh'),
    (('--input', 'k.npy', '--render', 'o'), '--render o: the name must end in .gif, .mp4, .html or .png'),
    (('--input', 'k.npy', '--render', 'folder.gif'), '--render folder.gif is a folder'),
    (('--input', 'k.npy', '--render', 'o.gif', '--viz_size', '31'), 'must lie between 1 and 30'),
    (('--input', 'k.npy', '--render', 'o.gif', '--viz_size', 'nan'), 'not a positive number'),
    (('--input', 'k.npy', '--output', 'o.npz', '--size', '9'), 'not like 1920x1080'),
    (('--input', 'k.npy', '--output', 'o.npz', '--video', 'none.mp4'), 'none.mp4'),
])
def test_wrong_command_lines_get_one_sentence(run, model, walking, tmp_path, arguments, sentence):
    np.save(tmp_path / 'k.npy', walking)
    (tmp_path / 'folder.gif').mkdir()
    status, _, err = run('--checkpoint', model, *arguments)
    assert status == 2 and sentence in err and 'Traceback' not in err and '--viz_output' not in err


@pytest.mark.parametrize('format', ['alphapose', 'openpose', 'npy'])
def test_a_layout_that_is_wrong_or_not_clear_gets_one_sentence(run, model, walking, tmp_path, format):
    cases = [('coco17', ('--layout', 'body25'), 'has 17 joints, and the layout body25 has 25'),
             ('h36m16', ('--layout', 'coco17'), 'has 16 joints, and the layout coco17 has 17'),
             ('h36m16', (), 'as mpii16 and h36m16 have: say which it is with --layout'),
             (None, (), 'has 19 joints, and the known layouts have other numbers: coco17 (17), body25 (25)')]
    if format in ('openpose', 'npy', 'npz'):
        cases += [('coco17', (), 'as coco17 and h36m17 have: say which it is with --layout')]
    for number, (name, flags, sentence) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        joints = spread(walking, name)[:3] if name else walking[:3, [*range(16), 0, 0, 0]]
        path = write(folder, format, [joints])
        status, _, err = run('--checkpoint', model, '--size', '1000x1000', '--output', 'o.npz', '--input', path,
                               *flags)
        assert status == 2 and sentence in err and path.name in err and err.count('\n') == 1
    assert not (tmp_path / 'o.npz').exists()


@pytest.mark.parametrize('name, module, sentence', [('o.html', 'plotly.offline', 'pip install plotly'),
                                                    ('o.mp4', 'imageio_ffmpeg', 'pip install imageio-ffmpeg')])
def test_packages_are_looked_for_before_the_work(run, monkeypatch, name, module, sentence):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delenv('IMAGEIO_FFMPEG_EXE', raising=False)
    status, _, err = run('--checkpoint', 'none.pth.tar', '--input', 'none.npy', '--render', name)
    assert status == 2 and sentence in err


def test_a_video_without_the_detector_says_what_to_install(run, model, walking, monkeypatch, tmp_path):
    video = tmp_path / 'clip.mp4'
    np.save(tmp_path / 'k.npy', walking[:5])
    status, _, err = run('--checkpoint', model, '--input', 'k.npy', '--size', '1000x1000', '--layout', 'h36m16',
                         '--render', video, '--viz_size', '1')
    assert status == 0, err
    for package in ('rtmlib', 'mediapipe'):
        monkeypatch.setitem(sys.modules, package, None)
    status, _, err = run('--checkpoint', model, '--video', video, '--output', 'o.npz')
    assert status == 2 and 'requirements-video.txt' in err and '--input' in err
    status, _, err = run('--checkpoint', model, '--video', video, '--input', 'k.npy', '--layout', 'h36m16', '--output',
                         'o.npz', '--render', 'o.html')
    assert status == 0, err
    assert np.load('o.npz')['fps'] == pytest.approx(30, abs=0.1)
