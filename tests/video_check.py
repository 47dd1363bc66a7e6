"""Video in, 3D out, on a real clip with the real detector: `python tests/video_check.py CHECKPOINT FOLDER`.

The clip is `Sports2D/Demo/demo.mp4` of the PyPI package sports2d (BSD-3), fetched into the folder given, not committed.
It is no part of `make test`: it wants requirements-video.txt, and with it numpy < 2.
"""

import contextlib
import io
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.lifting.detector_mediapipe import MediaPipeDetector, detect  # noqa: E402
from common.rendering.video import VideoFrames  # noqa: E402

MEMBER = 'Sports2D/Demo/demo.mp4'


def fetch(folder: Path) -> Path:
    """Path of the clip, downloaded with pip if it is not there yet."""
    clip = folder / MEMBER
    if not clip.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', str(folder), 'sports2d'],
                       check=True)
        with zipfile.ZipFile(next(folder.glob('sports2d-*.whl'))) as wheel:
            wheel.extract(MEMBER, folder)
    return clip


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit('usage: python tests/video_check.py CHECKPOINT FOLDER')
    checkpoint, folder = sys.argv[1], Path(sys.argv[2])
    clip = fetch(folder)
    video = VideoFrames(str(clip))
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        found = detect(str(clip), MediaPipeDetector(), video)
    seconds = time.monotonic() - started
    seen = sum(map(bool, found.people.values()))
    print(f'detector: {video.covered} frames in {seconds:.1f} s, {video.covered / seconds:.1f} a second; somebody in '
          f'{seen}')
    assert seen > 0.9 * video.covered

    for old in folder.glob('out*'):
        old.unlink()
    command = [sys.executable, str(ROOT / 'predict.py'), '--checkpoint', checkpoint, '--video', str(clip),
               '--center_crop', '--output', str(folder / 'out.npz'), '--bvh', str(folder / 'out.bvh'), '--render',
               str(folder / 'out.mp4')]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, *(line for line in done.stderr.splitlines() if line.startswith('Warning')), sep='\n')
    assert done.returncode == 0, done.stderr
    written = [np.load(file) for file in sorted(folder.glob('out*.npz'))]
    longest = max(written, key=lambda entries: len(entries['frames']))
    positions = longest['positions_3d']
    whole = np.isfinite(positions).all((1, 2))
    height = np.median(positions[whole][:, [3, 6], 1].max(1) - positions[whole][:, 9, 1])
    print(f'numpy {np.__version__}: {len(written)} people; the longest seen in {len(positions)} frames, {whole.sum()} '
          f'lifted, {height:.2f} m from head to foot')
    assert whole.mean() > 0.8 and 1.2 < height < 2.0
    assert longest['swapped'].sum() > 0  # the detector swaps sides in the jumping jacks of this clip
    assert VideoFrames(str(folder / 'out.mp4')).covered > 0


if __name__ == '__main__':
    main()
