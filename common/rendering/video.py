"""Videos, through the ffmpeg of imageio-ffmpeg: reading the frames of a clip's poses, and encoding pictures."""

import contextlib
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from common.errors import UserError, printable

# Containers round timestamps (Matroska: to 1 ms), so a frame can seem to be later than its pose. A frame that is late
# by at most this many microseconds counts as on time.
_TOLERANCE = 1000
_HELD_SECONDS = 0.3  # the last frame replaces missing frames at the end of a stream for at most this time


def ffmpeg() -> str:
    """Path of ffmpeg.

    Raises:
        UserError: the package is not installed, or has no ffmpeg for this machine.
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
    """The frames of a video: for each pose of a clip, the frame on the screen at its time.

    Pose number n of the sequence is n / fps seconds after the video's first frame. Times are the timestamps in the
    file, so the video may have any frame rate, even a varying one.

    Args:
        path: of the video.
        fps: poses a second. None: the sequence has one pose for every frame of the video.
        first, step: the clip begins with pose `first` of the sequence and has every `step`-th pose from there on.
    Attributes:
        size: width and height as displayed, pixels.
        count, seconds: number of frames, and their duration.
        covered: number of poses of the clip before the video ends.
    Raises:
        UserError: the file is missing, is not a video, or is damaged.
    """

    def __init__(self, path: str, fps: float | None = None, first: int = 0, step: int = 1) -> None:
        self.path, self.fps, self.first, self.step = path, fps, first, step
        if not os.path.isfile(path):
            raise UserError(f'{path} is missing, or is not a file.')
        self.size, self.count, self.seconds = self._probe()
        self.covered = len(range(first, self.count if fps is None else round(self.seconds * fps), step))

    def frames(self, width: int, height: int, count: int) -> Iterator[np.ndarray]:
        """Stream the frames of the clip's first `count` poses, scaled to a size.

        Yields:
            (height, width, 3) uint8.
        Raises:
            UserError: the video ends too early, or is damaged.
        """
        chosen = f"select='gte(n,{self.first})*not(mod(n-{self.first},{self.step}))'"
        if self.fps is not None:  # the frame on the screen at each pose's time, then the poses of the clip
            chosen = (f'settb=1/1000000,setpts=PTS-STARTPTS-{_TOLERANCE},'
                      f'fps=fps={self.fps:.9f}:round=up:start_time=0,{chosen}')
        command = self._command('-vf', f'{chosen},scale={width}:{height}:flags=area', '-fps_mode', 'passthrough',
                                '-frames:v', str(count), '-pix_fmt', 'rgb24', '-c:v', 'rawvideo', '-f', 'rawvideo', '-')
        with tempfile.TemporaryFile() as messages:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages)
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
            messages.seek(0)
            reason = _reason(messages.read())
        held = count - done if self.fps is None else (count - done) * self.step / self.fps
        if frame is None or held > (1 if self.fps is None else _HELD_SECONDS):
            raise UserError(f'{self.path} is damaged: only {done} of the {count} frames that the clip needs can be '
                            f'decoded ({reason}).')
        for _ in range(count - done):
            yield frame

    def _command(self, *output: str) -> list[str]:
        # Only files: a playlist disguised as a video must not open network connections.
        return [ffmpeg(), '-v', 'error', '-protocol_whitelist', 'file,pipe', '-i', f'file:{self.path}', '-map', '0:V:0',
                *output]

    def _probe(self) -> tuple[tuple[int, int], int, float]:
        """Size, number of frames and seconds. Only the first frame is decoded; of the others the times are listed."""
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


def encode(pictures: Iterable[Image.Image], path: str, fps: float, *options: str) -> None:
    """Encode RGB pictures of one size as a video or an animation, one at a time.

    Args:
        path: its suffix names the container.
        options: of ffmpeg, for the output.
    Raises:
        UserError: ffmpeg is missing, or cannot write the file.
    """
    program, rest = ffmpeg(), iter(pictures)
    first = next(rest)  # errors of drawing are raised before ffmpeg starts
    command = [program, '-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', '{}x{}'.format(*first.size),
               '-r', f'{fps:.9f}', '-i', '-', *options, f'file:{path}']
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages)
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg has stopped; its messages contain the reason
                process.stdin.write(first.tobytes())
                for picture in rest:
                    process.stdin.write(picture.tobytes())
                process.stdin.close()
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        messages.seek(0)
        reason = _reason(messages.read())
    if status:
        raise UserError(f'ffmpeg cannot write a video of {first.width}x{first.height}, {" ".join(options)}: {reason}.')


def _reason(messages: bytes) -> str:
    """The first message of ffmpeg; later messages only list consequences."""
    lines = messages.decode(errors='replace').splitlines()
    reasons = (re.sub(r'^(\[[^\]]*\]\s*)+', '', line).strip() for line in lines)
    return printable(next(filter(None, reasons), 'it has no frames')).rstrip('.')
