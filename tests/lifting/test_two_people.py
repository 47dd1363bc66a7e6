"""Two people in one file of a detector: both are lifted, and move side by side in the video and on the page."""

import re

import numpy as np
import pytest

import predict
from common.datasets import h36m
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.rendering.video import VideoFrames
from tests.helpers.layouts import spread, with_face
from tests.helpers.make_clips import frames_of_page, write_video
from tests.helpers.make_detections import write

SIZE = (1600, 1000)
PANEL = 400  # pixels
CLIP = slice(0, 60, 4)  # of 60 frames a second


@pytest.fixture
def two(shared):
    """(2, T, 21, 2) pixels: real motion, a walker on the left of the image and a boxer on the right."""
    world = npz.read_npz(str(shared('mocap/data_3d_cmu.npz')), ('positions_3d',))['positions_3d']['S9']
    camera = h36m.cameras()['S9'][1]
    people = []
    for action, place in (('Walking', (0, 100)), ('Punching', (650, 100))):
        poses = world_to_camera(with_face(world[action][CLIP, h36m.KEPT_JOINTS]), camera)
        people.append(image_coordinates(project(poses, camera).astype(float), 1000, 1000) * 0.8 + place)
    return np.stack(people)


@pytest.fixture
def render(script, shared, tmp_path, monkeypatch, two):
    """Run predict.py on the two in a file with identifiers."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, 'alphapose', [spread(person, 'coco17') for person in two], ids=[3, 7])
    arguments = ('--checkpoint', shared('pretrained/ckpt_semgcn.pth.tar'), '--input', path, '--size', '1600x1000',
                 '--fps', '15', '--viz_size', PANEL / 100, '--center_crop', 'yes', '--render')
    return lambda *flags: script(predict.main, *arguments, *flags)


def test_a_video_of_two_people(render, two, tmp_path):
    write_video('under.mkv', two.shape[1], 15, SIZE, step=15)
    status, out, err = render('two.mp4', '--video', 'under.mkv')
    assert status == 0 and err == '' and 'track 3' in out and 'track 7' in out, err
    video = VideoFrames('two.mp4')
    assert video.covered == two.shape[1] and video.seconds == pytest.approx(two.shape[1] / 15, abs=0.01)
    for picture in video.frames(*video.size, 5):
        redder = picture[..., 0].astype(int) - picture[..., 2]  # compression blurs the colours of thin limbs
        for panel in (redder[:, :-PANEL], redder[:, -PANEL:]):  # 2D input and 3D
            for side in np.array_split(panel[40:], 2, axis=1):  # below the titles
                assert (side > 60).sum() > 50 and (side < -60).sum() > 50  # right limbs and left ones


def test_a_page_of_two_people(render, two, tmp_path):
    pytest.importorskip('plotly')
    status, _, err = render('two.html')
    assert (status, err) == (0, '')
    text = (tmp_path / 'two.html').read_text(encoding='utf-8')
    frames = frames_of_page(text)
    assert len(frames) == two.shape[1] and re.search(r'"fps":15[.,]', text)
    seen = np.reshape([frame['keypoints'] for frame in frames], (-1, 2, 16, 2))
    np.testing.assert_allclose(seen[:, :, 3], two[:, :, 3].swapaxes(0, 1), atol=0.051)  # the right feet
    scene = np.reshape([frame['views'][0] for frame in frames], (-1, 2, 16, 3)) / 1000
    left, right = scene[:, 0, 0], scene[:, 1, 0]
    assert (right[:, 0] - left[:, 0]).min() > 1  # the boxer stands more than a metre to the right of the walker
    assert np.abs(scene[..., 2].min(2)).mean() < 0.06  # each on the floor of the clip


def test_a_video_that_is_over_before_anybody_is_seen(script, shared, tmp_path, monkeypatch, two):
    monkeypatch.chdir(tmp_path)
    np.savez('late.npz', keypoints=two[0, :5, :16], frames=np.arange(100, 105))
    write_video('under.mkv', 9, 15, SIZE)
    status, _, err = script(predict.main, '--checkpoint', shared('pretrained/ckpt_semgcn.pth.tar'), '--input',
                            'late.npz', '--layout', 'h36m16', '--size', '1600x1000', '--video', 'under.mkv',
                            '--render', 'o.mp4')
    assert status == 2 and 'under.mkv ends before the clip begins, after 9 frames' in err and '--viz' not in err
