"""Time and memory of predict.py on a long clip of one person: `python -m benchmarks.long_clip`.

The keypoints are a formula: somebody on the spot, who swings arms and legs, with a detector's noise and gaps. It needs
two cores that have nothing else to do; the limits are for these. Exits with 1 above a limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common.flags import Parser

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 100_000
LIMITS = {'npy': (45, 600), 'json': (80, None)}  # format: seconds, MB of memory
# COCO's 17 keypoints of somebody who faces the camera, pixels; how far each swings.
STANDING = np.array([(500, 316), (508, 308), (492, 308), (518, 312), (482, 312), (544, 368), (456, 368), (560, 436),
                     (440, 436), (568, 500), (432, 500), (524, 500), (476, 500), (526, 596), (474, 596), (528, 692),
                     (472, 692)], float)
SWING = np.array([0, 0, 0, 0, 0, 5, -5, 20, -20, 45, -45, 0, 0, -20, 20, -40, 40], float)


def keypoints(frames: int) -> np.ndarray:
    """(T, 17, 3): x, y and score."""
    rng = np.random.default_rng(0)
    seconds = np.arange(frames)[:, None] / 50
    points = np.repeat(STANDING[None], frames, 0) + rng.normal(0, 1, (frames, 17, 2))
    points[..., 0] += SWING * np.sin(2 * np.pi * seconds) + 100 * np.sin(seconds / 10)
    scores = rng.uniform(0.5, 1, (frames, 17, 1))
    scores[rng.uniform(size=scores.shape) < 0.01] = 0.02
    return np.concatenate([points, scores], axis=-1)


def save(path: Path, people: np.ndarray) -> None:
    """An array, or COCO's results."""
    if path.suffix == '.npy':
        np.save(path, people)
        return
    path.write_text(json.dumps([{'image_id': frame, 'category_id': 1, 'score': 0.9,
                                 'keypoints': [round(value, 3) for value in person.ravel().tolist()]}
                                for frame, person in enumerate(people)]))


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument('--frames', type=int, default=FRAMES)
    parser.add_argument('--format', choices=list(LIMITS), action='append', help='only this one')
    arguments = parser.parse_args()
    above = False
    with tempfile.TemporaryDirectory() as folder:
        for suffix in arguments.format or LIMITS:
            path = Path(folder) / f'clip.{suffix}'
            save(path, keypoints(arguments.frames))
            out = path.with_name('out.npz' if suffix == 'npy' else 'out.json')
            command = [sys.executable, str(ROOT / 'predict.py'), '--input', str(path), '--layout', 'coco17', '--size',
                       '1000x1000', '--fps', '50', '--output', str(out)]
            started = time.monotonic()
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f'{" ".join(command)} ended with status {process.returncode}')
            seconds, memory = time.monotonic() - started, used.ru_maxrss / 1000
            most, largest = LIMITS[suffix]
            print(f'.{suffix} to {out.suffix}: {arguments.frames:,} frames in {seconds:.0f} s '
                  f'({used.ru_utime + used.ru_stime:.0f} s of processor time), {memory:.0f} MB', flush=True)
            above |= seconds > most or bool(largest and memory > largest)
    return int(above)


if __name__ == '__main__':
    sys.exit(main())
