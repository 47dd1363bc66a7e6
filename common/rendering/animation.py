"""Writes a clip as what people share: a GIF, an MP4 video, a PNG contact sheet, or a page for the browser.

Frames are drawn one at a time and are gone once they are written, so that memory does not grow with the clip.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.errors import UserError, warn
from common.files.atomic import atomic_path, check_suffix
from common.rendering import gif, web_page
from common.rendering.clip import Clip
from common.rendering.video import VideoFrames, ffmpeg
from common.rendering.visualization import COLORS, PAPER, Scene

SUFFIXES = ('.gif', '.mp4', '.html', '.png')
GIF_FPS = 50.0  # delays are whole hundredths of a second, and browsers slow a single one down to ten
GIF_LONGEST = 65535  # hundredths of a second, the longest delay there is
SHEET_FRAMES = 8
SHEET_ASPECT = 4 / 3


def render(clip: Clip, path: str, size: float = 5, bitrate: int = 3000, video: VideoFrames | None = None) -> Clip:
    """Draw a clip into a file, whose suffix chooses the kind; it is written in whole or not at all.

    Args:
        size: side of a panel, in units of 100 pixels.
        bitrate: kbit/s of an .mp4.
        video: lies under the 2D input; a clip that outlasts it is cut.
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
        with atomic_path(path) as beside:
            web_page.write(clip, beside, size, video)
        return clip
    scene = Scene(clip, size, image=video is not None)
    with atomic_path(path) as beside:
        if suffix == '.gif':
            _write_gif(scene, beside, video)
        elif suffix == '.mp4':
            _write_mp4(scene, beside, video, bitrate)
        else:
            _write_sheet(scene, beside, video)
    return clip


def draw(scene: Scene, indices: Sequence[int], video: VideoFrames | None) -> Iterator[Image.Image]:
    """Draw frames of the clip, one when it is asked for, in rising order; a progress bar counts them."""
    box = scene.image_box
    pictures = enumerate(video.frames(box.width, box.height, indices[-1] + 1)) if video else iter(())
    for index in tqdm(indices, desc='drawing', unit='frame', leave=False, dynamic_ncols=True,
                      disable=not sys.stderr.isatty()):
        picture = next((picture for number, picture in pictures if number == index), None)
        yield scene.draw(index, picture)


def _write_gif(scene: Scene, path: str, video: VideoFrames | None) -> None:
    """The picture's fps up to `GIF_FPS`; of faster clips, the frames last shown at these times."""
    fps, frames = scene.clip.fps, len(scene.clip)
    rate = min(fps, GIF_FPS)
    indices = [int(number * fps / rate + 1e-6) for number in range(math.ceil(frames * rate / fps - 1e-6))]
    # Where each frame ends, in hundredths of a second: rounding this and not the delays keeps the mean speed right.
    ends = [round((number + 1) * 100 / rate) for number in range(len(indices))]
    delays = [min(end - begin, GIF_LONGEST) for begin, end in zip([0, *ends], ends)]
    with open(path, 'wb') as file:
        file.writelines(gif.blocks(draw(scene, indices, video), delays, COLORS, own_palettes=video is not None))


def _write_mp4(scene: Scene, path: str, video: VideoFrames | None, bitrate: int) -> None:
    ffmpeg()  # tells what to install
    import imageio_ffmpeg

    pictures = draw(scene, range(len(scene.clip)), video)
    first = next(pictures)  # before ffmpeg starts, so that it has nothing to say when there is none
    writer = imageio_ffmpeg.write_frames(
        path, (scene.width, scene.height), fps=scene.clip.fps, codec='libx264', bitrate=f'{bitrate}k',
        macro_block_size=2, ffmpeg_log_level='error', output_params=['-movflags', '+faststart'])
    with closing(writer):
        writer.send(None)
        try:
            for picture in itertools.chain([first], pictures):
                writer.send(picture.tobytes())
        except OSError as error:
            raise UserError(f'ffmpeg cannot write a video of {scene.width}x{scene.height} at {bitrate} kbit/s; is the '
                            f'disk full?') from error
    if VideoFrames(path).covered != len(scene.clip):  # the writer does not tell how ffmpeg has ended
        raise UserError('ffmpeg has not written all frames of the video; is the disk full?')


def _write_sheet(scene: Scene, path: str, video: VideoFrames | None) -> None:
    """A PNG of evenly spaced frames, in rows and columns that come near to `SHEET_ASPECT`."""
    count = min(SHEET_FRAMES, len(scene.clip))
    indices = [int(index) for index in np.linspace(0, len(scene.clip) - 1, count).round()]
    columns = min(range(1, count + 1), key=lambda columns: abs(math.log(
        columns * scene.width / (math.ceil(count / columns) * scene.height) / SHEET_ASPECT)))
    sheet = Image.new('RGB', (columns * scene.width, math.ceil(count / columns) * scene.height), PAPER)
    for place, picture in enumerate(draw(scene, indices, video)):
        row, column = divmod(place, columns)
        sheet.paste(picture, (column * scene.width, row * scene.height))
    sheet.save(path, format='PNG', optimize=True)
