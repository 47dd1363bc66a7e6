"""Video in, 3D out, on a real clip with a real detector: `python tests/video_check.py FOLDER [predict.py's flags]`.

The clip is `Sports2D/Demo/demo.mp4` of the PyPI package sports2d (BSD-3), fetched into the folder given, not committed:
somebody does jumping jacks on a box, somebody else walks past. The two commands of the README are run on it: with the
video, and with the keypoints that MediaPipe finds in it. `make test` does not run this, because it needs MediaPipe and
numpy < 2. Flags like `--checkpoint` are passed on to predict.py.
"""

import json
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.geometry import body  # noqa: E402
from common.lifting.detectors.detector import detect, make_detector  # noqa: E402
from common.rendering.video import VideoFrames  # noqa: E402

MEMBER = 'Sports2D/Demo/demo.mp4'
JACKS, FPS = slice(9, 75), 30.0  # frames of the jumping jacks; frames a second
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


def save_detections(clip: Path, path: Path) -> None:
    """Write what MediaPipe finds in a clip as people save it: for each frame a list of landmarks, empty for nobody."""
    video = VideoFrames(str(clip))
    people = detect(str(clip), make_detector('mediapipe'), video).people
    frames = [[{'x': x / video.size[0], 'y': y / video.size[1], 'visibility': score} for who in people[frame]
               for (x, y), score in zip(who.keypoints.tolist(), who.scores.tolist())] for frame in range(len(people))]
    path.write_text(json.dumps(frames))


def predict(*arguments: object) -> None:
    """Run predict.py, and print what it prints, its time, and the time of the processor that it took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, str(ROOT / 'predict.py'), *map(str, arguments)], capture_output=True,
                          text=True, check=False)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(done.stdout, *(line for line in done.stderr.splitlines() if line.startswith('Warning')), sep='\n')
    assert done.returncode == 0, done.stderr
    print(f'predict.py: {seconds:.1f} s, {busy:.1f} s of the processor', flush=True)


def standing_heights(positions: np.ndarray) -> np.ndarray:
    """Distances of the head from the middle of the feet, in the frames in which a person stands straight."""
    def length(*joints: int) -> np.ndarray:
        return np.linalg.norm(np.diff(positions[:, joints], axis=1), axis=-1).sum(1)

    right, left = zip(*body.LEGS)
    straight = (length(*right) + length(*left)) / 2 + length(body.HIP, body.SPINE, body.THORAX)
    feet = positions[:, body.FEET].mean(1)
    stands = np.linalg.norm(positions[:, body.THORAX] - feet, axis=-1) > STRAIGHT * straight
    return np.linalg.norm(positions[:, body.HEAD] - feet, axis=-1)[stands]


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


def check_person(person: dict[str, np.ndarray]) -> np.ndarray:
    """Check one person of the clip, print the figures, and return the accelerations of the joints, m/s^2."""
    positions = person['positions_3d'].astype(float)
    lifted, complete = np.isfinite(positions).all((1, 2)), np.isfinite(person['keypoints_2d']).all((1, 2))
    assert not (complete & ~lifted).any(), 'a full 2D skeleton beside an empty 3D panel'
    acceleration = np.linalg.norm(np.diff(positions, 2, axis=0), axis=-1) * FPS ** 2
    parents, children = person['bones'].T
    bones = np.linalg.norm(positions[:, parents] - positions[:, children], axis=-1)[lifted]
    print(f'track {person["track"]}: {lifted.sum()} of {len(lifted)} frames lifted, {complete.sum()} with all of the '
          f'2D; acceleration {np.nanmean(acceleration):.1f} m/s^2, bones change by {np.ptp(bones, axis=0).max():.0e} m')
    assert np.ptp(bones, axis=0).max() < 1e-4
    return acceleration


def read(folder: Path, name: str) -> list[dict[str, np.ndarray]]:
    return [dict(np.load(file)) for file in sorted(folder.glob(f'{name}*.npz'))]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit('usage: python tests/video_check.py FOLDER [flags of predict.py]')
    folder, flags = Path(sys.argv[1]), sys.argv[2:]
    clip = fetch(folder)
    for old in folder.glob('out*'):
        old.unlink()
    detections, render = folder / 'detections.json', folder / 'out.mp4'
    save_detections(clip, detections)
    width, height = VideoFrames(str(clip)).size
    predict('--video', clip, '--render', render, '--output', folder / 'out_video.npz', *flags)
    predict('--input', detections, '--size', f'{width}x{height}', '--output', folder / 'out.npz', '--bvh',
            folder / 'out.bvh', *flags)

    people, of_video = read(folder, 'out_[0-9]'), read(folder, 'out_video')
    for one, other in zip(people, of_video, strict=True):  # both commands lift the same
        np.testing.assert_allclose(one['positions_3d'], other['positions_3d'], atol=1e-3)
    mean = np.nanmean(np.concatenate([check_person(person) for person in people]))
    jumper = max(people, key=lambda person: len(person['frames']))
    first = int(jumper['frames'][0])
    rows = slice(JACKS.start - first, JACKS.stop - first)
    heights = standing_heights(jumper['positions_3d'].astype(float))
    spread = np.ptp(np.percentile(heights, [2, 98])) / np.median(heights)
    text = (folder / f'out_{jumper["track"]}.bvh').read_text().split('Frame Time')[1].splitlines()[1:]
    bvh = np.array([line.split()[1] for line in text], float)
    counted = jumps(-jumper['root'][rows, 1]), jumps(bvh[rows])
    print(f'mean acceleration {mean:.1f} m/s^2; the jumper stands in {len(heights)} frames, {np.median(heights):.2f} m '
          f'from head to feet, within {100 * spread:.1f} percent; jumps in root and BVH: {counted[0]} and {counted[1]}')
    assert mean <= LARGEST_ACCELERATION
    assert len(heights) > 20 and spread <= HEIGHT_SPREAD
    assert min(counted) >= 2
    assert VideoFrames(str(render)).covered > 0


if __name__ == '__main__':
    main()
