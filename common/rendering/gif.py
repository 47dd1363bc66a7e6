"""Encodes a GIF picture by picture, in little memory: Pillow's own writer holds all of them until the end."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import GifImagePlugin, Image, ImageColor

_TRANSPARENT = 255  # the palette's last place; the others are colours
_DRAWN = 64  # colours are enough for lines and their soft edges; fewer compress better
_CUBE = 32  # colours are looked up by the upper five bits of red, green and blue


def blocks(pictures: Iterable[Image.Image], delays: Iterable[int], exact: Sequence[str],
           own_palettes: bool = False) -> Iterator[bytes]:
    """Encode a GIF that repeats for ever.

    A picture after the first is stored as the rectangle in which it differs from the one before, transparent where it
    does not.

    Args:
        pictures: RGB, all of one size.
        delays: for each, how long it is shown, hundredths of a second.
        exact: colours like '#ffffff' that must come out as they are, or areas of them would show where they were
            drawn anew; no two may agree in the upper five bits of red, green and blue.
        own_palettes: choose colours for every picture anew, not for the first only.
    Yields:
        the bytes of the file.
    """
    palette = previous = None
    for picture, delay in zip(pictures, delays):
        pixels = np.asarray(picture)
        if palette is None or own_palettes:
            palette = _Palette(picture, exact, _TRANSPARENT if own_palettes else _DRAWN)
        if previous is None:
            yield struct.pack('<6sHHBBB', b'GIF89a', *picture.size, 0xf7, 0, 0) + palette.as_bytes()
            yield b'!\xff\x0bNETSCAPE2.0' + struct.pack('<BBHB', 3, 1, 0, 0)
            changed = np.ones(pixels.shape[:2], bool)
        else:
            changed = (pixels != previous).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        if not len(rows):  # a picture like the one before still takes its time
            rows = columns = np.array([0])
        top, bottom, left, right = (int(edge) for edge in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
        part = np.full((bottom - top, right - left), _TRANSPARENT, np.uint8)
        shown = changed[top:bottom, left:right]
        part[shown] = palette.indices(pixels[top:bottom, left:right][shown])
        image = Image.fromarray(part)
        image.putpalette(palette.as_bytes())
        yield b''.join(GifImagePlugin.getdata(image, (left, top), duration=delay * 10, disposal=1,
                                              transparency=_TRANSPARENT, include_color_table=own_palettes))
        previous = pixels
    yield b';'


class _Palette:
    """So many colours, the exact ones first and then those that suit a picture."""

    def __init__(self, picture: Image.Image, exact: Sequence[str], size: int) -> None:
        first = np.array([ImageColor.getrgb(color) for color in exact], np.uint8)
        room = size - len(first)
        chosen = np.array(picture.quantize(room, Image.Quantize.MEDIANCUT).getpalette(), np.uint8).reshape(-1, 3)[:room]
        self.colors = np.concatenate([first, chosen])
        self.places = np.full(_CUBE ** 3, _TRANSPARENT, np.uint8)  # of each cell's nearest colour, found when needed
        self.places[_cells(first)] = np.arange(len(first))

    def as_bytes(self) -> bytes:
        return self.colors.tobytes().ljust(768, b'\0')

    def indices(self, pixels: np.ndarray) -> np.ndarray:
        """(N, 3) pixels to the (N,) places of their colours."""
        cells = _cells(pixels)
        new = np.flatnonzero((np.bincount(cells, minlength=len(self.places)) > 0) & (self.places == _TRANSPARENT))
        middles = (np.stack(np.unravel_index(new, (_CUBE,) * 3), axis=1) + 0.5) * (256 // _CUBE)
        colors = self.colors.astype(np.float32)
        distances = (colors ** 2).sum(1) - 2 * middles.astype(np.float32) @ colors.T  # less what all have in common
        self.places[new] = distances.argmin(1)
        return self.places[cells]


def _cells(pixels: np.ndarray) -> np.ndarray:
    """Which cell of the cube of colours each of the pixels (N, 3) lies in."""
    red, green, blue = pixels.T.astype(np.intp) * _CUBE // 256
    return (red * _CUBE + green) * _CUBE + blue
