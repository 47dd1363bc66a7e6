"""Makes small clips and videos for tests of rendering, and reads the files that are drawn."""

import json
import subprocess

import numpy as np
from PIL import Image

from common.datasets import h36m
from common.rendering.clip import Clip, View
from common.rendering.video import ffmpeg

STEP = 4  # levels of brightness from a frame of a video to the next
SKELETON = h36m.skeleton()
HEAD, LWRIST, RFOOT = (SKELETON.names.index(name) for name in ('Head', 'LWrist', 'RFoot'))
# Hip, right leg, left leg, Spine, Thorax, Head, left arm, right arm: x to the left, z up, metres.
STANDING = np.array([
    (0, 0, 0.9), (-0.12, 0, 0.9), (-0.14, 0, 0.45), (-0.14, 0, 0), (0.12, 0, 0.9), (0.14, 0, 0.45), (0.14, 0, 0.05),
    (0, 0, 1.15), (0, 0, 1.4), (0, 0, 1.7), (0.18, 0, 1.4), (0.45, 0, 1.4), (0.7, 0, 1.4), (-0.18, 0, 1.4),
    (-0.45, 0, 1.4), (-0.7, 0, 1.4)])


def make_clip(frames=6, people=1, fps=25, views=2, errors=True, image_size=(400, 300)):
    """People with stretched arms who lean over more from frame to frame."""
    lean = np.linspace(0, 0.6, frames)[None, :, None]
    place = np.arange(people)[:, None, None] * 0.2
    positions = np.broadcast_to(STANDING, (people, frames, 16, 3)).copy()
    positions[..., 0] += lean * positions[..., 2] * 0.5 + place
    keypoints = np.stack([200 - 80 * positions[..., 0], 250 - 120 * positions[..., 2]], axis=-1)
    panel_errors = np.linspace(10, 20, frames) if errors else None
    titles = [View('Prediction', positions, panel_errors), View('Ground truth', positions)][:views]
    return Clip(keypoints, image_size, titles, SKELETON, fps, caption='S9 Walking')


def color_near(picture, point, reach=1):
    """The colours in the pixels around a point, as a set."""
    column, row = np.round(point).astype(int)
    area = np.asarray(picture)[row - reach:row + reach + 1, column - reach:column + reach + 1]
    return set(map(tuple, area.reshape(-1, 3).tolist()))


def frames_of(path):
    """Every frame of a GIF as RGB, and the delays in ms."""
    with Image.open(path) as image:
        pictures, delays = [], []
        for number in range(image.n_frames):
            image.seek(number)
            pictures.append(np.asarray(image.convert('RGB')).astype(int))
            delays.append(image.info['duration'])
    return pictures, delays


def frames_of_page(text):
    """The data of every frame in the script of a page."""
    return [json.loads(line[len('frames.push('):-2]) for line in text.splitlines() if line.startswith('frames.push(')]


def write_video(path, frames, fps, size=(64, 48), *options, step=STEP):
    """A video whose frame number n is grey, `step` * n bright, in a lossless code."""
    width, height = size
    content = b''.join(bytes([step * number]) * (width * height) for number in range(frames))
    subprocess.run([ffmpeg(), '-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'gray', '-s', f'{width}x{height}',
                    '-r', str(fps), '-i', '-', '-c:v', 'ffv1', *options, str(path)], input=content, check=True)
    return str(path)
