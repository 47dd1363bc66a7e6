"""Writes a clip as a GIF, an MP4 video, a PNG contact sheet or a web page.

Frames are drawn and encoded one at a time, so memory does not grow with the clip. ffmpeg writes GIFs too, because
Pillow's writer keeps all frames until the end (docs/measurements/rendering.md).
"""

import itertools
import math
import os
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageColor
from tqdm import tqdm

from common.errors import UserError, warn
from common.files.atomic import atomic_path, check_suffix
from common.rendering import web_page
from common.rendering.clip import Clip
from common.rendering.video import VideoFrames, encode, ffmpeg
from common.rendering.visualization import COLORS, PAPER, Scene

SUFFIXES = ('.gif', '.mp4', '.html', '.png')
GIF_FPS = 50.0  # delays are whole hundredths of a second, and browsers show a delay of one hundredth as a tenth
GIF_COLORS = 64  # enough for lines with soft edges; fewer colours compress better
SHEET_FRAMES = 8
SHEET_ASPECT = 4 / 3


def check_packages(path: str) -> None:
    """Check that the packages that `render` needs for a file of this suffix are installed, before hours of work.

    Raises:
        UserError: a package is missing.
    """
    if path.lower().endswith('.html'):
        web_page.plotly_script()
    elif path.lower().endswith(('.gif', '.mp4')):
        ffmpeg()


def render(clip: Clip, path: str, size: float = 5, bitrate: int = 3000, video: VideoFrames | None = None) -> Clip:
    """Draw a clip to a file, atomically, in the format of its suffix.

    Args:
        size: side of a panel, in units of 100 pixels.
        bitrate: of an .mp4, kbit/s.
        video: is drawn under the 2D input; a clip longer than the video is cut.
    Returns:
        the clip as drawn.
    Raises:
        UserError: the file cannot be written, a package is missing, or the video cannot be used.
    """
    suffix = check_suffix(path, SUFFIXES)
    if video is not None:
        if not video.covered:
            raise UserError(f'{video.path} ends before the clip begins, after {video.count} frames: is it the video of '
                            f'these keypoints, or is too much of it skipped?')
        if not math.isclose(video.size[0] / video.size[1], clip.image_size[0] / clip.image_size[1], rel_tol=0.02):
            warn(f'{video.path} is {video.size[0]}x{video.size[1]} and is stretched to the shape of the image that the '
                 f'keypoints lie in, {clip.image_size[0]}x{clip.image_size[1]}: is it of this camera?')
        if video.covered < len(clip):
            warn(f'{video.path} ends before the clip, which is cut from {len(clip)} to {video.covered} frames.')
            clip = clip.cut(video.covered)
    if suffix == '.html':
        with atomic_path(path) as temporary:
            web_page.write(clip, temporary, size, video)
        return clip
    scene = Scene(clip, size, image=video is not None)
    with atomic_path(path) as temporary:
        if suffix == '.gif':
            _write_gif(scene, temporary, video)
        elif suffix == '.mp4':
            encode(draw(scene, range(len(clip)), video), temporary, clip.fps, '-c:v', 'libx264', '-pix_fmt', 'yuv420p',
                   '-b:v', f'{bitrate}k', '-movflags', '+faststart')
        else:
            _write_sheet(scene, temporary, video)
    return clip


def draw(scene: Scene, indices: Sequence[int], video: VideoFrames | None) -> Iterator[Image.Image]:
    """Draw frames of the clip one by one, with a progress bar; the indices ascend."""
    box = scene.image_box
    pictures = enumerate(video.frames(box.width, box.height, indices[-1] + 1)) if video else iter(())
    for index in tqdm(indices, desc='drawing', unit='frame', leave=False, dynamic_ncols=True, disable=None):
        picture = next((picture for number, picture in pictures if number == index), None)
        yield scene.draw(index, picture)


def _write_gif(scene: Scene, path: str, video: VideoFrames | None) -> None:
    """Write at most `GIF_FPS` frames a second; faster clips lose the frames between."""
    fps, frames = scene.clip.fps, len(scene.clip)
    rate = min(fps, GIF_FPS)
    indices = [int(number * fps / rate + 1e-6) for number in range(math.ceil(frames * rate / fps - 1e-6))]
    pictures = draw(scene, indices, video)
    if video is not None:  # photographs: a palette for each frame
        colors = 'split[a][b];[a]palettegen=stats_mode=single[palette];[b][palette]paletteuse=new=1'
        encode(pictures, path, rate, '-lavfi', f'{colors}:dither=none:diff_mode=rectangle')
        return
    first = next(pictures)
    with tempfile.TemporaryDirectory() as folder:
        palette = os.path.join(folder, 'palette.png')
        _palette(first).save(palette)
        encode(itertools.chain([first], pictures), path, rate, '-i', palette,
               '-lavfi', 'paletteuse=dither=none:diff_mode=rectangle')


def _palette(picture: Image.Image) -> Image.Image:
    """A 16x16 image of the colours of a GIF: `COLORS` and, up to `GIF_COLORS`, colours of the first picture."""
    exact = np.array([ImageColor.getrgb(color) for color in COLORS], np.uint8)
    quantized = picture.quantize(GIF_COLORS - len(exact), Image.Quantize.MEDIANCUT)
    colors = np.concatenate([exact, np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)])[:GIF_COLORS]
    return Image.fromarray(np.resize(colors, (16, 16, 3)))


def _write_sheet(scene: Scene, path: str, video: VideoFrames | None) -> None:
    """Write a PNG of evenly spaced frames, in a grid whose shape is close to `SHEET_ASPECT`."""
    count = min(SHEET_FRAMES, len(scene.clip))
    indices = [int(index) for index in np.linspace(0, len(scene.clip) - 1, count).round()]
    columns = min(range(1, count + 1), key=lambda columns: abs(math.log(
        columns * scene.width / (math.ceil(count / columns) * scene.height) / SHEET_ASPECT)))
    sheet = Image.new('RGB', (columns * scene.width, math.ceil(count / columns) * scene.height), PAPER)
    for place, picture in enumerate(draw(scene, indices, video)):
        row, column = divmod(place, columns)
        sheet.paste(picture, (column * scene.width, row * scene.height))
    sheet.save(path, format='PNG', optimize=True)
