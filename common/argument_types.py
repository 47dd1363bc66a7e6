"""What a flag's text may be: each takes it and gives its value, or tells argparse what is wrong with it."""

import argparse
import math
import re


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not at least 1')
    return value


def non_negative_int(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f'{text} is negative')
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not a positive number')
    return value


def non_negative_float(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not a number from 0')
    return value


def angle(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 180:
        raise argparse.ArgumentTypeError(f'{text} is not in [0, 180]')
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'{text} is not in (0, 1]')
    return value


def probability(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not in [0, 1)')
    return value


def device_name(text: str) -> str:
    if not re.fullmatch(r'auto|cpu|cuda(:\d+)?|mps', text):
        raise argparse.ArgumentTypeError(f'{text} is none of auto, cpu, cuda, cuda:N, mps')
    return text


def file_name_part(text: str) -> str:
    """A dataset or keypoints name: it becomes part of a file's name, so it may not lead out of the data folder."""
    if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a name of letters, digits, _, . and -')
    return text
