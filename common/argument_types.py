"""Types of flags: each function converts the text of a flag, or raises argparse's error with what is wrong."""

import argparse
import math
import re
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar('Number', int, float)


def _number(kind: type[Number], accepts: Callable[[Number], bool], wanted: str) -> Callable[[str], Number]:
    """A type for numbers that satisfy `accepts`; `wanted` completes the message "... is not"."""
    def number(text: str) -> Number:
        value = kind(text)
        if not accepts(value):
            raise argparse.ArgumentTypeError(f'{text} is not {wanted}')
        return value
    return number


positive_int = _number(int, lambda value: value >= 1, 'at least 1')
non_negative_int = _number(int, lambda value: value >= 0, 'at least 0')
positive_float = _number(float, lambda value: 0 < value < math.inf, 'a positive number')
non_negative_float = _number(float, lambda value: 0 <= value < math.inf, 'a number from 0')
angle = _number(float, lambda value: 0 <= value <= 180, 'in [0, 180]')
frame_rate = _number(float, lambda value: 1 <= value <= 1000, 'from 1 to 1000')
share = _number(float, lambda value: 0 < value <= 1, 'in (0, 1]')
probability = _number(float, lambda value: 0 <= value < 1, 'in [0, 1)')
pitch = _number(float, lambda value: -90 <= value <= 90, 'in -90 to 90')


def auto_yes_no(text: str) -> bool | None:
    """Yes, no, or None for the program's own choice."""
    if text not in ('auto', 'yes', 'no'):
        raise argparse.ArgumentTypeError(f'{text} is not auto, yes or no')
    return None if text == 'auto' else text == 'yes'


def image_size(text: str) -> tuple[int, int]:
    """(width, height) of text like 1920x1080, 1920X1080, 1920,1080."""
    size = re.fullmatch(r'\(?([1-9]\d{0,4})\s*[xX*, ]\s*([1-9]\d{0,4})\)?', text.strip())
    if not size:
        raise argparse.ArgumentTypeError(f'{text} is not like 1920x1080')
    return int(size[1]), int(size[2])


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(','))))


def names_or_all(text: str) -> tuple[str, ...] | None:
    """Names separated by commas, or None for all of them, written `*`."""
    names = comma_separated(text)
    if not names:
        raise argparse.ArgumentTypeError('it has no name')
    return None if names == ('*',) else names


def device_name(text: str) -> str:
    if not re.fullmatch(r'auto|cpu|cuda(:\d+)?|mps', text):
        raise argparse.ArgumentTypeError(f'{text} is none of auto, cpu, cuda, cuda:N, mps')
    return text


def file_name_part(text: str) -> str:
    """A name of a dataset or of keypoints. It becomes part of a file name, so it must not leave the data folder."""
    if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a name of letters, digits, _, . and -')
    return text
