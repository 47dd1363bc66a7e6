"""Reading a video: the frame for each pose, whatever its rate, size and container; and files that are not videos."""

import itertools
import math
import subprocess
import tracemalloc

import numpy as np
import pytest

from common.errors import UserError
from common.rendering.video import VideoFrames, ffmpeg
from tests.helpers.make_clips import STEP, write_video

LATE = 0.00101  # seconds by which a frame may come late


def numbers(video, count, size=(8, 6)):
    """Which frames of the video came for the poses."""
    found = []
    for frame in video.frames(*size, count):
        assert frame.shape == (size[1], size[0], 3) and frame.dtype == np.uint8
        assert np.ptp(frame) == 0
        found.append(round(frame[0, 0, 0] / STEP))
    return found


@pytest.mark.parametrize('rate, container', [
    ('25', 'mkv'), ('30', 'mov'), ('60', 'mkv'), ('24000/1001', 'mkv'), ('24000/1001', 'mov'), ('12.5', 'avi')])
def test_every_pose_gets_the_frame_then_on_the_screen(tmp_path, rate, container):
    top, bottom = (float(part) for part in (rate if '/' in rate else f'{rate}/1').split('/'))
    fps, frames = top / bottom, 40
    path = write_video(tmp_path / f'v.{container}', frames, rate)
    video = VideoFrames(path, 50)
    poses = int(frames / fps * 50)
    assert abs(video.covered - poses) <= 1
    assert video.count == frames and video.seconds == pytest.approx(frames / fps, abs=0.002)
    assert numbers(video, poses) == [math.floor((pose / 50 + LATE) * fps) for pose in range(poses)]


@pytest.mark.parametrize('rate, options, expected', [
    (30, {'fps': 10}, list(range(0, 30, 3))),
    (30, {'fps': 29.97}, [math.floor((pose / 29.97 + LATE) * 30) for pose in range(29)]),
    (15, {'fps': 30, 'first': 11, 'step': 4}, [pose // 2 for pose in range(11, 60, 4)]),
    (24, {}, list(range(30))), (24, {'first': 3, 'step': 5}, [3, 8, 13, 18, 23, 28])])
def test_poses_of_another_rate_skipped_thinned_and_one_for_each_frame(tmp_path, rate, options, expected):
    video = VideoFrames(write_video(tmp_path / 'v.mkv', 30, rate), **options)
    assert abs(video.covered - len(expected)) <= (options.get('fps') == 29.97)
    assert numbers(video, len(expected)) == expected


def test_a_frame_rate_that_changes(tmp_path):
    path = write_video(tmp_path / 'v.mkv', 20, 50, (64, 48), '-vf', 'setpts=if(lt(N\\,10)\\,N\\,10+(N-10)*4)/50/TB',
                       '-fps_mode', 'passthrough')
    shown = [*range(10), *(10 + late // 4 for late in range(36))]
    assert numbers(VideoFrames(path, 50), len(shown)) == shown
    assert numbers(VideoFrames(path), 20) == list(range(20))


def test_the_first_frame_counts_as_time_zero(tmp_path):
    path = write_video(tmp_path / 'v.mkv', 20, 25)
    late = str(tmp_path / 'late.mkv')
    subprocess.run([ffmpeg(), '-v', 'error', '-itsoffset', '1.5', '-i', path, '-f', 'lavfi', '-i', 'sine=d=2',
                    '-c:v', 'copy', late], check=True)
    video = VideoFrames(late, 50)
    assert video.covered == 40
    assert numbers(video, 40) == [pose // 2 for pose in range(40)]


def test_compressed_with_frames_out_of_order(tmp_path):
    path = str(tmp_path / 'v.mp4')
    subprocess.run([ffmpeg(), '-v', 'error', '-f', 'lavfi', '-i', f'color=s=64x64:r=30:d=1.3,format=gray,'
                    f"geq=lum='{STEP}*N'", '-c:v', 'libx264', '-qp', '1', '-bf', '3', path], check=True)
    assert numbers(VideoFrames(path, 60), 70) == [pose // 2 for pose in range(70)]


@pytest.mark.parametrize('size', [(63, 47), (320, 16), (16, 200)])
def test_any_size(tmp_path, size):
    video = VideoFrames(write_video(tmp_path / 'v.mkv', 4, 25, size), 25)
    assert video.size == size
    assert numbers(video, 4, (31, 17)) == [0, 1, 2, 3]


def test_a_turned_video_is_shown_upright(tmp_path):
    upright = write_video(tmp_path / 'u.mov', 3, 25, (64, 48), '-c:v', 'mpeg4')
    turned = str(tmp_path / 't.mov')
    subprocess.run([ffmpeg(), '-v', 'error', '-display_rotation', '90', '-i', upright, '-c', 'copy', turned],
                   check=True)
    assert VideoFrames(turned, 25).size == (48, 64)


def test_the_last_frame_stands_in_for_a_moment_only(tmp_path):
    path = write_video(tmp_path / 'v.mkv', 10, 25)
    video = VideoFrames(path, 25)
    assert numbers(video, 12) == [*range(10), 9, 9]
    with pytest.raises(UserError, match='only 10 of the 40 frames'):
        numbers(video, 40)


def test_frames_are_streamed_and_reading_can_be_left(tmp_path):
    path = write_video(tmp_path / 'v.mkv', 60, 25, (320, 240))
    tracemalloc.start()
    try:
        for _ in VideoFrames(path, 25).frames(640, 480, 60):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * 640 * 480 * 3
    frames = VideoFrames(path, 25).frames(640, 480, 60)
    assert len(list(itertools.islice(frames, 2))) == 2
    frames.close()


def test_a_missing_video(tmp_path):
    with pytest.raises(UserError, match=r'nowhere\.mp4 is missing'):
        VideoFrames(str(tmp_path / 'nowhere.mp4'))
    with pytest.raises(UserError, match='is missing, or is not a file'):
        VideoFrames(str(tmp_path))


def test_what_is_no_video(tmp_path):
    write_video(tmp_path / 'cut.mov', 40, 25, (64, 48), '-c:v', 'mpeg4')
    sound = str(tmp_path / 'sound.mkv')
    subprocess.run([ffmpeg(), '-v', 'error', '-f', 'lavfi', '-i', 'sine=d=0.2', sound], check=True)
    playlist = b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n'
    for name, content in (('text.mp4', b'not a video\n'), ('empty.mp4', b''), ('noise.avi', bytes(range(256)) * 40),
                          ('cut.mov', (tmp_path / 'cut.mov').read_bytes()[:-600]), ('list.m3u8', playlist),
                          ('sound.mkv', (tmp_path / 'sound.mkv').read_bytes())):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf'{name} cannot be read as a video: \S'):
            VideoFrames(str(tmp_path / name), 50)


def test_names_that_look_like_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('-i.mkv', 'a:b %03d.mkv', "it's [1].mkv"):
        write_video(tmp_path / 'v.mkv', 3, 25).replace('v.mkv', name)
        (tmp_path / 'v.mkv').rename(tmp_path / name)
        assert numbers(VideoFrames(name, 25), 3) == [0, 1, 2]


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'imageio_ffmpeg', None)
    with pytest.raises(UserError, match='pip install imageio-ffmpeg'):
        ffmpeg()
