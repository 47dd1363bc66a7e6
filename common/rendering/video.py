"""Reads the frames of a video that belong to the frames of a clip, through the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator

import numpy as np

from common.errors import UserError, printable

# Containers round timestamps to their clock (Matroska: to 1 ms), so a frame may seem to come later than the pose that
# it was taken with; it still counts as on time by this many microseconds.
_TOLERANCE = 1000
_HELD_SECONDS = 0.3  # how long the last frame stands in for what the container promised and the stream lacks


def ffmpeg() -> str:
    """Path of the program.

    Raises:
        UserError: the package is not installed, or has no program for this machine.
    """
    try:
        import imageio_ffmpeg
        return imageio_ffmpeg.get_ffmpeg_exe()
    except ImportError:
        raise UserError('videos need the package imageio-ffmpeg: pip install imageio-ffmpeg.') from None
    except RuntimeError:
        raise UserError('imageio-ffmpeg has no ffmpeg for this machine: install ffmpeg and name it in the environment '
                        'variable IMAGEIO_FFMPEG_EXE.') from None


class VideoFrames:
    """The frames of a video, as they stood on the screen when each pose of a clip was taken.

    Pose number n of the sequence is taken n / fps seconds after the video's first frame. Time is told by the
    timestamps in the file, so that neither the video's frame rate nor a change of it matters.

    Args:
        path: of the video.
        fps: poses a second; None where the sequence has one pose for every frame, whatever its time.
        first, step: the clip begins with that pose of the sequence, and has every `step`-th.
    Attributes:
        size: width and height as it is to be shown, pixels.
        count, seconds: its frames, and how long they last.
        covered: how many poses of the clip it is long enough for.
    Raises:
        UserError: the file is missing, is no video, or is damaged.
    """

    def __init__(self, path: str, fps: float | None = None, first: int = 0, step: int = 1) -> None:
        self.path, self.fps, self.first, self.step = path, fps, first, step
        if not os.path.isfile(path):
            raise UserError(f'{path} is not there, or is no file.')
        self.size, self.count, self.seconds = self._probe()
        self.covered = len(range(first, self.count if fps is None else round(self.seconds * fps), step))

    def frames(self, width: int, height: int, count: int) -> Iterator[np.ndarray]:
        """Stream the frames of the clip's first `count` poses, one at a time, scaled to a size.

        Yields:
            (height, width, 3) uint8.
        Raises:
            UserError: the video ends too early, or is damaged.
        """
        chosen = f"select='gte(n,{self.first})*not(mod(n-{self.first},{self.step}))'"
        if self.fps is not None:  # first to the frame last shown at each pose's time, then to the poses of the clip
            chosen = (f'settb=1/1000000,setpts=PTS-STARTPTS-{_TOLERANCE},'
                      f'fps=fps={self.fps:.9f}:round=up:start_time=0,{chosen}')
        command = self._command('-vf', f'{chosen},scale={width}:{height}:flags=area', '-fps_mode', 'passthrough',
                                '-frames:v', str(count), '-pix_fmt', 'rgb24', '-c:v', 'rawvideo', '-f', 'rawvideo', '-')
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)
            assert process.stdout is not None
            try:
                done, frame = 0, None
                while done < count:
                    content = process.stdout.read(width * height * 3)
                    if len(content) < width * height * 3:
                        break
                    frame, done = np.frombuffer(content, np.uint8).reshape(height, width, 3), done + 1
                    yield frame
            finally:
                process.stdout.close()
                process.kill()
                process.wait()
            complaints.seek(0)
            reason = _reason(complaints.read())
        held = count - done if self.fps is None else (count - done) * self.step / self.fps
        if frame is None or held > (1 if self.fps is None else _HELD_SECONDS):
            raise UserError(f'{self.path} is damaged: only {done} of the {count} frames that the clip needs can be '
                            f'decoded ({reason}).')
        for _ in range(count - done):
            yield frame

    def _command(self, *output: str) -> list[str]:
        # Only files: a playlist that calls itself a video must not reach into the network.
        return [ffmpeg(), '-v', 'error', '-protocol_whitelist', 'file,pipe', '-i', f'file:{self.path}', '-map', '0:V:0',
                *output]

    def _probe(self) -> tuple[tuple[int, int], int, float]:
        """Size, frames and seconds: decodes the first frame, and lists the others' times without decoding them."""
        command = self._command('-c', 'copy', '-f', 'framecrc', 'pipe:2')
        command += ['-map', '0:V:0', '-frames:v', '1', '-c:v', 'ppm', '-f', 'image2pipe', '-']
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        size = re.match(rb'P6\s(\d+)\s(\d+)\s', done.stdout[:32])
        clock = re.search(rb'^#tb 0: (\d+)/(\d+)', done.stderr, re.MULTILINE)
        count, begin, end = 0, math.inf, -math.inf
        for packet in re.finditer(rb'^0,\s*-?\d+,\s*(-?\d+),\s*(\d+),', done.stderr, re.MULTILINE):
            time, duration = int(packet[1]), int(packet[2])
            count, begin, end = count + 1, min(begin, time), max(end, time + duration)
        if done.returncode or size is None or clock is None or not count:
            reason = _reason(re.sub(rb'^[#\d].*$', b'', done.stderr, flags=re.MULTILINE))
            raise UserError(f'{self.path} cannot be read as a video: {reason}.')
        return (int(size[1]), int(size[2])), count, (end - begin) * int(clock[1]) / int(clock[2])


def _reason(complaints: bytes) -> str:
    """What ffmpeg said first, which is what is wrong; the rest tells what it could not do thereafter."""
    lines = complaints.decode(errors='replace').splitlines()
    told = (re.sub(r'^(\[[^\]]*\]\s*)+', '', line).strip() for line in lines)
    return printable(next(filter(None, told), 'it has no frames')).rstrip('.')
