"""Writes a clip as one self-contained web page, which works offline and lets the reader turn the 3D views."""

import base64
import html
import io
import json
import math
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.errors import UserError
from common.rendering import visualization
from common.rendering.clip import Clip
from common.rendering.perspective import ELEVATION, Perspective, around
from common.rendering.video import VideoFrames

TEMPLATE = os.path.join(os.path.dirname(__file__), 'web_page.html')
EYE_DISTANCE = 1.35  # distance at which an object of size 1 fills the panel, found by trial
JPEG_QUALITY = 80
COLOR_NAMES = ('PAPER', 'INK', 'FAINT_INK', 'SHADE', 'TILES', 'LEFT', 'RIGHT')


def plotly_script() -> str:
    """The source of plotly.js.

    Raises:
        UserError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UserError('.html needs the package plotly: pip install plotly.') from None
    return get_plotlyjs()


def write(clip: Clip, path: str, size: float = 5, video: VideoFrames | None = None) -> None:
    """Write the page of a clip, frame by frame.

    Args:
        size: largest side of a panel, in units of 100 pixels.
        video: its frames are embedded as JPEG under the 2D input.
    Raises:
        UserError: plotly is not installed, or the video cannot be used.
    """
    script = plotly_script()
    visualization.check_size(size)
    perspective = Perspective([view.positions.reshape(-1, 3) for view in clip.views], clip.azimuth)
    corner, shown = (0, 0), clip.image_size
    if video is None:
        corner, shown = (values.tolist() for values in around(clip.keypoints, clip.image_size))
    constants = {name: getattr(visualization, name) for name in COLOR_NAMES}
    values = {**constants, 'TITLE': html.escape(clip.caption or 'Human poses'), 'COUNT': str(len(clip.views) + 1),
              'SIDE': f'{round(visualization.PANEL * size)}px', 'PLOTLY': script,
              'CLIP': _json(_constants(clip, perspective, (*corner, *shown)))}
    with open(TEMPLATE, encoding='utf-8') as file:
        before, after = (re.sub(r'\$([A-Z_]+)', lambda found: values[found[1]], part)
                         for part in file.read().split('$FRAMES'))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(before)
        file.writelines(_frames(clip, video, size))
        file.write(after)


def _constants(clip: Clip, perspective: Perspective, crop: tuple[float, ...]) -> dict[str, Any]:
    """The page's data that do not change from frame to frame."""
    joints, people = len(clip.skeleton), len(clip.keypoints)
    longest = max(*(2 * perspective.floor), perspective.target[2] * 2)  # has length 1 in plotly
    across = 2 * max(-perspective.lowest[0], perspective.highest[0])  # the middle of the floor is in the middle
    largest = float(max(across, perspective.highest[1] - perspective.lowest[1]) / longest)
    colors = visualization.bone_colors(clip.skeleton)
    bones = [(person * joints + parent, person * joints + child, color) for person in range(people)
             for (parent, child), color in zip(clip.skeleton.bones, colors, strict=True)]
    return {'fps': clip.fps, 'start': clip.start, 'caption': clip.caption, 'crop': crop, 'bones': bones,
            'colors': list(dict.fromkeys(colors)), 'names': clip.skeleton.names * people,
            'views': [view.title for view in clip.views], 'floor': perspective.floor.tolist(), 'tile': perspective.tile,
            'top': perspective.target[2] * 2,
            'viewpoint': {'azimuth': clip.azimuth, 'elevation': ELEVATION, 'distance': EYE_DISTANCE * largest},
            'center': float((perspective.lowest + perspective.highest)[1] / 2 / longest)}


def _frames(clip: Clip, video: VideoFrames | None, size: float) -> Iterator[str]:
    """Lines of script with each frame (tenths of pixels, millimetres, null for missing joints) and its picture."""
    width = round(visualization.PANEL * size)
    height = round(width * clip.image_size[1] / clip.image_size[0])
    pictures = video.frames(width, height, len(clip)) if video else iter(())
    for index in tqdm(range(len(clip)), desc='writing', unit='frame', leave=False, dynamic_ncols=True, disable=None):
        frame = {'keypoints': _numbers(clip.keypoints[:, index], 1),
                 'views': [_numbers(view.positions[:, index] * 1000, 0) for view in clip.views],
                 'errors': [None if view.errors is None or not math.isfinite(view.errors[index])
                            else round(float(view.errors[index]), 1) for view in clip.views]}
        yield f'frames.push({_json(frame)});\n'
        if video is not None:
            buffer = io.BytesIO()
            Image.fromarray(next(pictures)).save(buffer, format='JPEG', quality=JPEG_QUALITY)
            source = base64.b64encode(buffer.getvalue()).decode()
            yield f'pictures.push(Object.assign(new Image(), {{src: "data:image/jpeg;base64,{source}"}}));\n'


def _numbers(values: np.ndarray, digits: int) -> list[float | int | None]:
    """A flat list of rounded values; all coordinates of a missing point are null."""
    known = np.broadcast_to(np.isfinite(values).all(-1, keepdims=True), values.shape).ravel()
    return [None if not there else round(float(value), digits) if digits else round(float(value))
            for value, there in zip(values.ravel(), known, strict=True)]


def _json(value: Any) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(value, separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')
