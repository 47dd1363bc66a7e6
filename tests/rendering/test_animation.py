"""GIF, MP4 and contact sheet: decoded again, they show what was drawn, for as long as it should be seen."""

import dataclasses
import itertools
import weakref

import numpy as np
import pytest
from PIL import Image, ImageColor

from common.rendering import animation
from common.rendering.video import VideoFrames
from common.rendering.visualization import COLORS, Scene
from tests.helpers.make_clips import LWRIST, frames_of, make_clip


class TestGif:
    def test_frames_size_and_duration(self, tmp_path):
        clip, path = make_clip(frames=12, fps=30), str(tmp_path / 'a.gif')
        animation.render(clip, path, 2)
        pictures, delays = frames_of(path)
        scene = Scene(clip, 2)
        assert len(pictures) == 12 and pictures[0].shape == (scene.height, scene.width, 3)
        assert sum(delays) == 400 and set(delays) == {30, 40}
        assert all((a != b).any() for a, b in itertools.pairwise(pictures))

    def test_it_shows_what_was_drawn_and_nothing_stays_behind(self, tmp_path):
        clip, path = make_clip(frames=8), str(tmp_path / 'a.gif')
        animation.render(clip, path, 2)
        scene = Scene(clip, 2)
        for frame, shown in enumerate(frames_of(path)[0]):
            drawn = np.asarray(scene.draw(frame)).astype(int)
            for color in COLORS:
                exact = (drawn == ImageColor.getrgb(color)).all(2)
                assert (shown[exact] == ImageColor.getrgb(color)).all()
            assert np.abs(shown - drawn).mean() < 1

    def test_delays_are_never_too_short_for_browsers(self, tmp_path):
        path = str(tmp_path / 'a.gif')
        animation.render(make_clip(frames=12, fps=60), path, 1)
        pictures, delays = frames_of(path)
        assert len(pictures) == 10 and set(delays) == {20}

    def test_one_frame(self, tmp_path):
        animation.render(make_clip(frames=1), str(tmp_path / 'a.gif'), 1)
        assert len(frames_of(tmp_path / 'a.gif')[0]) == 1

    def test_equal_frames_keep_their_time_and_the_animation_repeats(self, tmp_path):
        clip, path = make_clip(frames=4), str(tmp_path / 'a.gif')
        clip.keypoints[:], clip.views[0].positions[:] = clip.keypoints[:, :1], clip.views[0].positions[:, :1]
        animation.render(dataclasses.replace(clip, views=[]), path, 1)
        with Image.open(path) as image:
            assert image.info['loop'] == 0
        assert sum(frames_of(path)[1]) == 160


@pytest.mark.parametrize('name', ['a.gif', 'a.mp4'])
def test_frames_are_gone_once_they_are_written(tmp_path, monkeypatch, name):
    pictures, alive = [], []
    drawn = Scene.draw

    def watched(scene, frame, picture=None):
        image = drawn(scene, frame, picture)
        pictures.append(weakref.ref(image))
        alive.append(sum(picture() is not None for picture in pictures))
        return image

    monkeypatch.setattr(Scene, 'draw', watched)
    animation.render(make_clip(frames=20), str(tmp_path / name), 1)
    assert len(alive) == 20 and max(alive) <= 3


def test_mp4(tmp_path):
    clip, path = make_clip(frames=10, fps=50 / 3), str(tmp_path / 'a.mp4')
    animation.render(clip, path, 2)
    scene, video = Scene(clip, 2), VideoFrames(path)
    assert video.size == (scene.width, scene.height) and video.covered == 10
    assert VideoFrames(path, 50).covered == 30  # 0.6 s
    for frame, shown in enumerate(video.frames(*video.size, 10)):
        drawn = np.asarray(scene.draw(frame)).astype(int)
        assert np.abs(shown - drawn).mean() < 3
        column, row = scene.projections[0](clip.views[0].positions[0, frame, LWRIST])[0].round().astype(int)
        red, _, blue = shown[row, column].astype(int)
        assert blue > red + 50
    assert (tmp_path / 'a.mp4').read_bytes()[4:8] == b'ftyp'


def test_bitrate(tmp_path):
    sizes = []
    for bitrate in (30, 3000):
        animation.render(make_clip(frames=30), str(tmp_path / 'a.mp4'), 2, bitrate)
        sizes.append((tmp_path / 'a.mp4').stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_contact_sheet(tmp_path):
    clip, path = make_clip(frames=15), tmp_path / 'a.PNG'
    animation.render(clip, str(path), 2)
    scene = Scene(clip, 2)
    with Image.open(path) as sheet:
        assert sheet.format == 'PNG' and sheet.size == (2 * scene.width, 4 * scene.height)
        for place, frame in ((0, 0), (1, 2), (7, 14)):
            row, column = divmod(place, 2)
            left, top = column * scene.width, row * scene.height
            cell = sheet.crop((left, top, left + scene.width, top + scene.height))
            assert cell.tobytes() == scene.draw(frame).tobytes()


def test_what_is_written_is_whole_or_not_there(tmp_path, monkeypatch):
    old = tmp_path / 'a.gif'
    old.write_bytes(b'old')
    drawn = Scene.draw

    def failing(scene, frame, picture=None):
        if frame == 3:
            raise KeyboardInterrupt
        return drawn(scene, frame, picture)

    monkeypatch.setattr(Scene, 'draw', failing)
    for name in ('a.gif', 'b.mp4', 'c.png'):
        with pytest.raises(KeyboardInterrupt):
            animation.render(make_clip(), str(tmp_path / name), 1)
    assert [path.name for path in tmp_path.iterdir()] == ['a.gif'] and old.read_bytes() == b'old'
