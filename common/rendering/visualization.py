"""Draws the frames of a clip: the 2D input over its image, and the 3D views on a floor.

One matplotlib axes holds everything. Its unit is the pixel, y down, so joints are drawn at known pixels. The static
parts are drawn once, as a background; for each frame only the skeletons and the notes are drawn.
"""

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import CircleCollection, LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from PIL import Image

from common.errors import UserError
from common.geometry.skeleton import Skeleton
from common.rendering.clip import Clip
from common.rendering.perspective import Box, Crop, PanelProjection, Perspective, around, floor_lines

LEFT, RIGHT, MIDDLE = '#0072B2', '#D55E00', '#404040'  # Okabe and Ito's blue and vermilion, and dark grey
INK, FAINT_INK, PAPER, SHADE, TILES, SHADOW = '#1a1a1a', '#666666', '#ffffff', '#f3f3f3', '#dcdcdc', '#c8c8c8'
COLORS = (LEFT, RIGHT, MIDDLE, INK, FAINT_INK, PAPER, SHADE, TILES, SHADOW)
PANEL = 100  # pixels of a panel's side for a size of 1
SMALLEST, LARGEST = 1, 30


def bone_colors(skeleton: Skeleton) -> list[str]:
    """The colour of each of `skeleton.bones`, by the side of its child."""
    return [LEFT if child in skeleton.left else RIGHT if child in skeleton.right else MIDDLE
            for _, child in skeleton.bones]


def check_size(size: float) -> None:
    """Raise UserError if the size of a panel is too small or too large."""
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f'--viz_size {size:g}: a panel is {PANEL} pixels times this, which must lie between {SMALLEST} '
                        f'and {LARGEST}.')


class DrawnBones:
    """The skeletons of one panel: joints, coloured bones with light edges, and shadows on the floor."""

    def __init__(self, axes: Axes, skeleton: Skeleton, width: float, shadow: bool) -> None:
        self.parents, self.children = np.array(skeleton.bones).T
        self.colors = np.array([to_rgba(color) for color in bone_colors(skeleton)])
        self.joint_colors = np.full((len(skeleton), 4), to_rgba(MIDDLE))
        self.joint_colors[self.children] = self.colors

        def lines(**style: Any) -> LineCollection:
            return LineCollection([], capstyle='round', animated=True, **style)

        self.shadow = lines(linewidths=width, colors=SHADOW) if shadow else None
        self.edges, self.bones = lines(linewidths=1.8 * width, colors=PAPER), lines(linewidths=width)
        self.joints = CircleCollection([math.pi * (0.85 * width) ** 2], offsets=np.empty((0, 2)), linewidths=0,
                                       offset_transform=axes.transData, animated=True)
        self.artists = [artist for artist in (self.shadow, self.edges, self.bones, self.joints) if artist is not None]

    def move(self, points: np.ndarray, nearness: np.ndarray | None = None, on_floor: np.ndarray | None = None) -> None:
        """Move the joints to pixels. DrawnBones with a missing joint are not drawn.

        Args:
            points: (P, J, 2).
            nearness: (P, J); nearer bones are drawn over farther bones.
            on_floor: (P, J, 2) the points projected to the floor.
        """
        segments = self._segments(points)
        order = np.flatnonzero(np.isfinite(segments).all((1, 2)))
        if nearness is not None:
            middles = (nearness[:, self.parents] + nearness[:, self.children]).reshape(-1)
            order = order[np.argsort(middles[order])]
        self.edges.set_segments(segments[order])
        self.bones.set_segments(segments[order])
        self.bones.set_color(list(map(tuple, self.colors[order % len(self.colors)])))
        known = np.isfinite(points).all(-1)
        self.joints.set_offsets(points[known])
        self.joints.set_facecolor(np.broadcast_to(self.joint_colors, (*known.shape, 4))[known])
        if self.shadow is not None and on_floor is not None:
            self.shadow.set_segments(self._segments(on_floor)[order])

    def _segments(self, points: np.ndarray) -> Any:  # (N, 2, 2); matplotlib annotates sequences and takes arrays
        return np.stack([points[:, self.parents], points[:, self.children]], axis=2).reshape(-1, 2, 2)


class Scene:
    """All panels of a clip in one picture.

    Args:
        clip: to draw.
        size: side of a panel, in units of 100 pixels.
        image: whether `draw` gets pictures for the 2D panel, which then shows the whole image. Otherwise it shows the
            part around the keypoints.
    Attributes:
        width, height: of the picture, pixels; even, as video codecs need.
        image_box: the 2D panel; pictures given to `draw` must have its size.
        crop: maps pixels of the image to pixels of the picture.
        projections: for each view, maps metres to pixels of the picture.
    Raises:
        UserError: the size is too small or too large.
    """

    def __init__(self, clip: Clip, size: float = 5, image: bool = False) -> None:
        check_size(size)
        self.clip, self.side = clip, round(PANEL * size)
        self.font = max(0.044 * self.side, 7.0)
        self._lay_out(image)
        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72, facecolor=PAPER)  # so a point is a pixel
        self.canvas = FigureCanvasAgg(figure)
        self.axes = figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        self.axes.axis('off')
        self.moving: list[Artist] = []
        self.line_width = max(self.side / 75, 1.5)
        self.bones = [self._make_panel(box, projection, image) for box, projection in
                      zip(self.boxes, [None, *self.projections], strict=True)]
        self.notes = self._make_texts()
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def _lay_out(self, image: bool) -> None:
        """Set the boxes: a header, and under it the panels in a row."""
        gap, top = max(round(0.04 * self.side), 3), round(3.5 * self.font)
        width, height = self.clip.image_size
        wide = round(self.side * min(max(width / height, 0.4), 2.5)) if image else self.side
        self.image_box = Box(gap, top, wide, self.side)
        self.boxes = [self.image_box]
        for _ in self.clip.views:
            self.boxes.append(Box(self.boxes[-1].right + gap, top, self.side, self.side))
        edges = self.boxes[-1].right + gap, top + self.side + gap
        self.width, self.height = (math.ceil(edge / 2) * 2 for edge in edges)
        whole = np.zeros(2), np.array([width, height], float)
        self.crop = Crop(self.image_box, *(whole if image else around(self.clip.keypoints, (width, height))))
        perspective = Perspective([view.positions.reshape(-1, 3) for view in self.clip.views], self.clip.azimuth)
        self.projections = [PanelProjection(box, perspective) for box in self.boxes[1:]]

    def _make_panel(self, box: Box, projection: PanelProjection | None, image: bool) -> DrawnBones:
        width = self.line_width * (0.6 if image and projection is None else 1)  # people are small in a whole image
        frame = Rectangle((box.left, box.top), box.width, box.height, color=SHADE if projection is None else PAPER)
        self.axes.add_patch(frame)
        still: list[Artist] = []
        if projection is not None:
            lines, corners = floor_lines(projection.perspective)
            still = [Polygon(projection(corners)[0], color=SHADE),
                     LineCollection(list(projection(lines)[0]), colors=TILES, linewidths=max(self.side / 500, 0.6))]
        bones = DrawnBones(self.axes, self.clip.skeleton, width, shadow=projection is not None)
        for artist in [*still, *bones.artists]:
            self.axes.add_artist(artist)
            artist.set_clip_path(frame)
        self.moving += bones.artists
        return bones

    def _make_texts(self) -> list[Text]:
        """Draw titles and legend. Returns the notes under the titles, which change from frame to frame."""
        for box, title in zip(self.boxes, ['2D input', *(view.title for view in self.clip.views)], strict=True):
            self._text(box.left, 1.5, title, fontweight='bold', color=INK)
        self._text(self.boxes[-1].right, 1.5, 'right', ha='right', color=RIGHT, fontweight='bold')
        self._text(self.boxes[-1].right - 3.3 * self.font, 1.5, 'left', ha='right', color=LEFT, fontweight='bold')
        notes = [self._text(box.left, 2.85, '', color=FAINT_INK, animated=True) for box in self.boxes]
        self.moving += notes
        return notes

    def _text(self, left: float, lines: float, text: str, **style: Any) -> Text:
        return self.axes.text(left, lines * self.font, text, fontsize=self.font, parse_math=False, **style)

    def draw(self, frame: int, picture: np.ndarray | None = None) -> Image.Image:
        """Draw one frame of the clip.

        Args:
            frame: index.
            picture: (height, width, 3) uint8 for the background of the 2D panel, of the size of `image_box`.
        Returns:
            a new RGB picture.
        """
        clip = self.clip
        self.canvas.restore_region(self.still)
        pixels = np.asarray(self.canvas.buffer_rgba())
        if picture is not None:
            pixels[self.image_box.slices][..., :3] = picture
        self.bones[0].move(self.crop(clip.keypoints[:, frame]))
        self.notes[0].set_text(' · '.join(filter(None, [f'{clip.start + frame / clip.fps:.2f} s', clip.caption])))
        for view, projection, bones, note in zip(clip.views, self.projections, self.bones[1:], self.notes[1:],
                                                 strict=True):
            positions = view.positions[:, frame]
            bones.move(*projection(positions), on_floor=projection(positions * (1, 1, 0))[0])
            if view.errors is not None and np.isfinite(view.errors[frame]):
                note.set_text(f'MPJPE {view.errors[frame]:.1f} mm')
            else:
                note.set_text('')
        for artist in self.moving:
            self.axes.draw_artist(artist)
        return Image.frombytes('RGB', (self.width, self.height), pixels.tobytes(), 'raw', 'RGBX')
