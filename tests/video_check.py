"""Video in, 3D out, on a real clip with a real detector: `python tests/video_check.py FOLDER [predict.py's flags]`.

The clip is `Sports2D/Demo/demo.mp4` of the PyPI package sports2d (BSD-3), fetched into the folder given, not committed:
somebody does jumping jacks on a box, somebody else walks past. `make test` does not run it, because it needs MediaPipe
and numpy < 2. Flags like `--checkpoint` are passed on to predict.py.
"""

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.lifting.layouts import LEGS  # noqa: E402
from common.rendering.video import VideoFrames  # noqa: E402

MEMBER = 'Sports2D/Demo/demo.mp4'
JACKS = slice(9, 75)  # frames of the jumping jacks
LARGEST_ACCELERATION, HEIGHT_SPREAD = 40.0, 0.05  # m/s^2, mean over the joints; share
STRAIGHT = 0.98  # of legs and trunk, of somebody who stands


def fetch(folder: Path) -> Path:
    """Path of the clip, downloaded with pip if it is missing."""
    clip = folder / MEMBER
    if not clip.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', str(folder), 'sports2d'],
                       check=True)
        with zipfile.ZipFile(next(folder.glob('sports2d-*.whl'))) as wheel:
            wheel.extract(MEMBER, folder)
    return clip


def standing_heights(positions: np.ndarray) -> np.ndarray:
    """Distances of the head from the middle of the feet, in the frames in which a person stands straight."""
    def length(*joints: int) -> np.ndarray:
        return np.linalg.norm(np.diff(positions[:, joints], axis=1), axis=-1).sum(1)

    right, left = zip(*LEGS)
    body = (length(*right) + length(*left)) / 2 + length(0, 7, 8)
    feet = positions[:, LEGS[2]].mean(1)
    stands = np.linalg.norm(positions[:, 8] - feet, axis=-1) > STRAIGHT * body
    return np.linalg.norm(positions[:, 9] - feet, axis=-1)[stands]


def jumps(heights: np.ndarray) -> int:
    """How often heights rise by 6 cm over the lowest point before and fall again."""
    count, low, high = 0, heights[0], -np.inf
    for height in heights:
        if high == -np.inf:
            low = min(low, height)
            high = height if height > low + 0.06 else high
        else:
            high = max(high, height)
            if height < high - 0.06:
                count, low, high = count + 1, height, -np.inf
    return count


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit('usage: python tests/video_check.py FOLDER [flags of predict.py]')
    folder, flags = Path(sys.argv[1]), sys.argv[2:]
    clip = fetch(folder)
    for old in folder.glob('out*'):
        old.unlink()
    outputs = [str(folder / f'out.{suffix}') for suffix in ('npz', 'bvh', 'mp4')]
    started = time.monotonic()
    done = subprocess.run([sys.executable, str(ROOT / 'predict.py'), '--video', str(clip), '--detector', 'mediapipe',
                           '--output', outputs[0], '--bvh', outputs[1], '--render', outputs[2], *flags],
                          capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    print(done.stdout, *(line for line in done.stderr.splitlines() if line.startswith('Warning')), sep='\n')
    assert done.returncode == 0, done.stderr
    frames = VideoFrames(str(clip)).count
    print(f'numpy {np.__version__}: {frames} frames in {seconds:.1f} s, {frames / seconds:.1f} a second, all included')

    people = [dict(np.load(file)) for file in sorted(folder.glob('out*.npz'))]
    accelerations = []
    for person in people:
        positions, fps = person['positions_3d'].astype(float), float(person['fps'])
        lifted, complete = np.isfinite(positions).all((1, 2)), np.isfinite(person['keypoints_2d']).all((1, 2))
        assert not (complete & ~lifted).any(), 'a full 2D skeleton beside an empty 3D panel'
        accelerations.append(np.linalg.norm(np.diff(positions, 2, axis=0), axis=-1) * fps ** 2)
        parents, children = person['bones'].T
        bones = np.linalg.norm(positions[:, parents] - positions[:, children], axis=-1)[lifted]
        print(f'track {person["track"]}: {lifted.sum()} of {len(lifted)} frames lifted, acceleration '
              f'{np.nanmean(accelerations[-1]):.1f} m/s^2, bones change by {np.ptp(bones, axis=0).max() * 1e3:.3f} mm')
        assert np.ptp(bones, axis=0).max() < 1e-4
    mean = np.nanmean(np.concatenate(accelerations))
    jumper = max(people, key=lambda person: len(person['frames']))
    first = int(jumper['frames'][0])
    rows = slice(JACKS.start - first, JACKS.stop - first)
    heights = standing_heights(jumper['positions_3d'].astype(float))
    spread = np.ptp(np.percentile(heights, [2, 98])) / np.median(heights)
    name = folder / (f'out_{jumper["track"]}.bvh' if len(people) > 1 else 'out.bvh')
    text = name.read_text().split('Frame Time')[1].splitlines()[1:]
    bvh = np.array([line.split()[1] for line in text], float)
    counted = jumps(-jumper['root'][rows, 1]), jumps(bvh[rows])
    print(f'mean acceleration {mean:.1f} m/s^2; the jumper stands in {len(heights)} frames, {np.median(heights):.2f} m '
          f'from head to feet, within {100 * spread:.1f} percent; jumps in root and BVH: {counted[0]} and {counted[1]}')
    assert mean <= LARGEST_ACCELERATION
    assert len(heights) > 20 and spread <= HEIGHT_SPREAD
    assert min(counted) >= 2
    assert VideoFrames(outputs[2]).covered > 0


if __name__ == '__main__':
    main()
