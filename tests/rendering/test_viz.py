"""`viz.py` from the command line: the frames asked for, the video under them, and every wrong input answered."""

import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

import main_gcn
import viz
from common.checkpoint import Checkpoint
from common.datasets import h36m
from common.files import npz
from common.rendering.video import VideoFrames
from models.config import build_model, default_config
from tests.conftest import moving_people, pixels_of
from tests.helpers.make_clips import SKELETON, frames_of, write_video


@pytest.fixture
def workplace(data_dir, monkeypatch):
    """A working directory with the dataset `tiny` and untrained checkpoints."""
    monkeypatch.chdir(data_dir.parent)
    for name, config in (('gcn', dataclasses.replace(default_config('gcn'), hid_dim=8, num_layers=1)),
                         ('linear', dataclasses.replace(default_config('linear'), hid_dim=8))):
        state = build_model(config, SKELETON).state_dict()
        Checkpoint(3, 1e-3, 30, state, None, 99.0, config).save(f'{name}.pth.tar')
    return data_dir.parent


TINY = ['-d', 'tiny', '--device', 'cpu', '--viz_size', 1]
CLIP = [*TINY, '--viz_subject', 'S9', '--viz_action', 'Walking 1', '--evaluate', 'gcn.pth.tar']


@pytest.fixture
def clips(workplace, monkeypatch):
    """The clips that viz.py would render, in place of their files."""
    rendered = []
    monkeypatch.setattr(viz, 'render', lambda clip, *_: rendered.append(clip) or clip)
    (workplace / 'a.gif').touch()
    return rendered


class TestScript:
    def test_every_kind_of_file(self, script, workplace):
        for name in ('a.gif', 'a.mp4', 'a.png', 'deep/er/a.html'):
            status, out, err = script(viz.main, *CLIP, '--viz_output', name, '--viz_camera', 2)
            assert (status, err) == (0, ''), err
            assert f'{name}: 12 frames of S9 Walking 1, camera 2, 0.24 s' in out and 'MPJPE' in out
            assert (workplace / name).stat().st_size > 1000

    def test_the_frames_asked_for(self, script, clips):
        arguments = [*CLIP, '--viz_output', 'a.gif']
        script(viz.main, *arguments)
        status, _, err = script(viz.main, *arguments, '--viz_skip', 3, '--viz_downsample', 4, '--viz_limit', 2)
        assert status == 0, err
        whole, some = clips
        assert len(whole) == 12 and whole.fps == 50 and len(some) == 2 and some.fps == 12.5 and some.start == 0.06
        np.testing.assert_allclose(some.keypoints, whole.keypoints[:, 3:8:4], atol=1e-4)
        for few, all_of_them in zip(some.views, whole.views, strict=True):
            np.testing.assert_allclose(few.positions, all_of_them.positions[:, 3:8:4], atol=1e-5)

    def test_what_is_drawn_is_what_was_recorded(self, script, clips):
        script(viz.main, *CLIP, '--viz_output', 'a.gif', '--viz_camera', 1)
        (clip,) = clips
        world = moving_people()['S9']['Walking 1'][:, h36m.KEPT_JOINTS]
        prediction, truth = clip.views
        relative = world - world[:, :1]
        np.testing.assert_allclose(truth.positions[0] - truth.positions[0, :, :1], relative, atol=1e-5)
        np.testing.assert_allclose(truth.positions[0, :, 0, :2], 0, atol=1e-6)
        for view in clip.views:
            np.testing.assert_allclose(view.positions[0, :, :, 2].min(-1), 0, atol=1e-6)
        apart = (prediction.positions - prediction.positions[:, :, :1])[0] - relative
        np.testing.assert_allclose(prediction.errors, np.linalg.norm(apart, axis=-1).mean(-1) * 1000, rtol=1e-4)
        assert clip.azimuth == h36m.cameras()['S9'][1].azimuth and clip.image_size == (1000, 1000)

    def test_the_speed_that_a_dataset_tells(self, script, workplace):
        npz.write_npz('data/data_3d_tiny.npz', positions_3d=moving_people(), fps=np.float64(24))
        assert ', 0.50 s' in script(viz.main, *CLIP, '--viz_output', 'a.gif')[1]
        assert ', 1.20 s' in script(viz.main, *CLIP, '--viz_output', 'a.gif', '--viz_fps', 10)[1]
        for wrong in (np.float64('nan'), np.array([50, 60]), np.array('fast'), {'a': [[], 1]}, np.array(True)):
            npz.write_npz('data/data_3d_tiny.npz', positions_3d=moving_people(), fps=wrong)
            status, _, err = script(viz.main, *CLIP, '--viz_output', 'a.gif')
            assert status == 2 and 'fps must be one number' in err

    def test_a_video_under_the_2d_input(self, script, workplace):
        write_video('v.mkv', 15, 30, (80, 80), step=15)
        arguments = [*CLIP, '--viz_video', 'v.mkv', '--viz_skip', 2, '--viz_downsample', 3]
        expected = [int((pose / 50 + 0.001) * 30) for pose in range(2, 12, 3)]
        for name in ('a.gif', 'a.mp4', 'a.png', 'a.html'):
            status, _, err = script(viz.main, *arguments, '--viz_output', name)
            assert (status, err) == (0, ''), err
        pictures = {'a.gif': frames_of('a.gif')[0]}
        video = VideoFrames('a.mp4')
        pictures['a.mp4'] = list(video.frames(*video.size, video.covered))
        with Image.open('a.png') as sheet:
            pixels = np.asarray(sheet)
        height, width = pictures['a.gif'][0].shape[:2]
        pictures['a.png'] = [pixels[top:top + height, left:left + width]
                             for top in range(0, len(pixels), height) for left in range(0, pixels.shape[1], width)]
        for name, frames in pictures.items():
            corners = [frame[-8, 8].mean() / 15 for frame in frames[:len(expected)]]  # of the panel, lower left
            np.testing.assert_allclose(corners, expected, atol=0.3, err_msg=name)
        assert (workplace / 'a.html').read_text().count('data:image/jpeg;base64,') == len(expected)

    def test_a_video_that_ends_before_the_clip(self, script, workplace):
        write_video('v.mkv', 4, 25, (80, 80))
        status, out, err = script(viz.main, *CLIP, '--viz_video', 'v.mkv', '--viz_output', 'a.gif')
        assert status == 0 and 'cut from 12 to 8 frames' in err and '8 frames of S9' in out
        status, _, err = script(viz.main, *CLIP, '--viz_video', 'v.mkv', '--viz_output', 'b.gif', '--viz_skip', 9)
        assert status == 2 and 'ends before the clip begins' in err

    def test_a_video_of_another_shape(self, script, workplace):
        write_video('v.mkv', 10, 25, (160, 90))
        status, _, err = script(viz.main, *CLIP, '--viz_video', 'v.mkv', '--viz_output', 'a.png')
        assert status == 0 and '160x90 and is stretched' in err and '1000x1002' in err

    def test_any_network(self, script, workplace):
        for name in ('gcn', 'linear'):
            arguments = [*CLIP, '--evaluate', f'{name}.pth.tar', '-a', name, '--viz_output', 'a.png', '-z', 8]
            status, _, err = script(viz.main, *arguments)
            assert status == 0, err

    @pytest.mark.parametrize('flags, sentence', [
        (['-a', 'linear'], '--architecture linear contradicts gcn.pth.tar'),
        (['-l', 4], '--num_layers 4 contradicts'),
        (['--non_local'], '--non_local contradicts'),
        (['--viz_subject', 'S7'], 'tiny has no subject S7; there are S1, S5, S9'),
        (['--viz_action', 'Flying'], 'tiny has no Flying of S9; there are Walking, Walking 1, Eating'),
        (['--viz_camera', 4], 'S9 has the cameras 0 (54138969), 1 (55011271), 2 (58860488), 3 (60457274)'),
        (['--viz_camera', -1], 'S9 has the cameras'),
        (['--viz_output', 'a.avi'], 'must end in .gif, .mp4, .html or .png'),
        (['--viz_output', 'data.gif/a'], 'must end in'),
        (['--viz_output', 'folder.gif'], 'is a folder'),
        (['--viz_output', 'gcn.pth.tar/a.gif'], 'cannot be written'),
        (['--viz_skip', 12], 'leaves nothing of the 12 frames'),
        (['--viz_skip', -1], 'is not at least 0'),
        (['--viz_downsample', 0], 'not at least 1'),
        (['--viz_size', 0.2], 'must lie between 1 and 30'),
        (['--viz_size', 'nan'], 'not a positive number'),
        (['--viz_fps', 0], 'not from 1 to 1000'),
        (['--viz_video', 'none.mp4'], 'none.mp4 is missing'),
        (['--viz_video', 'gcn.pth.tar'], 'gcn.pth.tar cannot be read as a video'),
        (['--evaluate', 'none.pth.tar'], 'none.pth.tar is '),
        (['-k', 'cpn'], 'data_2d_tiny_cpn.npz is '),
        (['-d', 'nothing'], 'data_3d_nothing.npz is '),
    ])
    def test_wrong_flags_end_in_a_sentence(self, script, workplace, flags, sentence):
        (workplace / 'folder.gif').mkdir()
        status, _, err = script(viz.main, *CLIP, '--viz_output', 'a.gif', *flags)
        assert status == 2 and sentence in err and 'Traceback' not in err, err
        assert not (workplace / 'a.gif').exists()

    @pytest.mark.parametrize('flag, sentence', [
        ('--evaluate', '--evaluate is missing'), ('--viz_output', '--viz_output is missing'),
        ('--viz_subject', 'which subject is to be drawn; there are S1, S5, S9'),
        ('--viz_action', 'which action is to be drawn; there are Walking, Walking 1, Eating')])
    def test_missing_flags_tell_what_there_is(self, script, workplace, flag, sentence):
        arguments = [*CLIP, '--viz_output', 'a.gif']
        place = arguments.index(flag)
        status, _, err = script(viz.main, *arguments[:place], *arguments[place + 2:])
        assert status == 2 and sentence in err

    def test_2d_of_another_length_or_none(self, script, workplace):
        def keypoints(action, frames):
            views = [view[:frames] for view in pixels_of(moving_people())['S9'][action]]
            npz.write_npz('data/data_2d_tiny_sh.npz', positions_2d={'S9': {action: views}}, metadata={})
        keypoints('Walking 1', 9)
        status, out, err = script(viz.main, *CLIP, '-k', 'sh', '--viz_output', 'a.png')
        assert status == 0 and 'camera 0 (9 and 12)' in err and '9 frames of S9' in out
        keypoints('Eating', 12)
        status, _, err = script(viz.main, *CLIP, '-k', 'sh', '--viz_output', 'a.png')
        assert status == 2 and 'tiny has no sh keypoints of S9 Walking 1' in err

    def test_the_rate_of_drawing_changes_no_prediction(self, script, clips):
        """Networks of several frames see neighbours in the data's own time."""
        config = dataclasses.replace(default_config('gcn'), hid_dim=8, num_layers=1, window=3)
        state = build_model(config, SKELETON).state_dict()
        Checkpoint(3, 1e-3, 30, state, None, 99.0, config, normalization='person').save('person.pth.tar')
        arguments = [*CLIP, '--evaluate', 'person.pth.tar', '--viz_output', 'a.gif']
        for flags in ([], ['--viz_fps', 10], ['--viz_downsample', 3]):
            assert script(viz.main, *arguments, *flags)[0] == 0
        own, slow, thin = (clip.views[0].errors for clip in clips)
        np.testing.assert_allclose(slow, own, rtol=1e-5)
        np.testing.assert_allclose(thin, own[::3], rtol=1e-5)

    def test_what_is_drawn_is_what_an_evaluation_writes_also_beside_it(self, script, clips):
        """Two files side by side: a checkpoint, and its own predictions; a frame that the file lacks is empty."""
        config = dataclasses.replace(default_config('gcn'), hid_dim=8, num_layers=1)
        state = build_model(config, SKELETON).state_dict()
        Checkpoint(3, 1e-3, 30, state, None, 99.0, config, normalization='person').save('person.pth.tar')
        status, _, err = script(main_gcn.main, '-d', 'tiny', '--device', 'cpu', '--evaluate', 'person.pth.tar',
                                '--predictions', 'p.npz')
        assert status == 0, err
        arrays = dict(np.load('p.npz'))
        mine = (arrays['action'] == 'Walking 1') & (arrays['frame'] == 4)
        npz.write_npz('p.npz', **{name: value if name == 'joints' else value[~mine] for name, value in arrays.items()})
        status, out, err = script(viz.main, *CLIP, '--evaluate', 'person.pth.tar', 'p.npz', '--viz_output', 'a.gif')
        assert status == 0 and '(person)' in out and '(p.npz)' in out, err
        network, file, truth = clips[0].views
        assert np.isnan(file.positions[0, 4]).all() and truth.errors is None
        np.testing.assert_allclose(np.delete(file.positions, 4, 1), np.delete(network.positions, 4, 1), atol=1e-5)
        np.testing.assert_allclose(np.delete(file.errors, 4), np.delete(network.errors, 4), rtol=1e-4)
        status, _, err = script(viz.main, *CLIP, '--evaluate', 'p.npz', '--viz_output', 'a.gif', '--viz_subject', 'S1')
        assert status == 2 and 'no prediction of S1 Walking 1' in err

    def test_packages_that_are_missing(self, script, workplace, monkeypatch):
        monkeypatch.setitem(sys.modules, 'plotly.offline', None)
        status, _, err = script(viz.main, *CLIP, '--viz_output', 'a.html')
        assert status == 2 and 'pip install plotly' in err
        monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
        status, _, err = script(viz.main, *CLIP, '--viz_output', 'a.mp4')
        assert status == 2 and 'pip install imageio-ffmpeg' in err
        assert not list(workplace.glob('*a.*l')) and not list(workplace.glob('*a.mp4'))
