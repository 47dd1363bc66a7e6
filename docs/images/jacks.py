"""Makes jacks.gif: the jumping jacks of a clip, under the keypoints found in it, beside the 3D.

    make test-video                                     # fetches the clip, and MediaPipe finds people in it
    python docs/images/jacks.py .venv-video/clip        # writes docs/images/jacks.gif
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE, CORNER, PART = (1768, 994), (384, 16), (560, 480)  # pixels of the clip; around the jumper
FRAMES = slice(16, 75)  # MediaPipe puts a leg wrong in the first frames
FOCAL = 2028  # pixels, of the whole clip: its diagonal


def main(folder: Path) -> None:
    """Cut the jumper out of clip and keypoints, lift, draw, and make a GIF of few colours."""
    frames = json.loads((folder / 'detections.json').read_text())[FRAMES]
    people = [[{'x': (mark['x'] * SIZE[0] - CORNER[0]) / PART[0], 'y': (mark['y'] * SIZE[1] - CORNER[1]) / PART[1],
                'visibility': mark['visibility']} for mark in frame] for frame in frames]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', '-y']
    with tempfile.TemporaryDirectory() as name:
        part, drawn, keypoints = (Path(name) / file for file in ('part.mp4', 'drawn.mp4', 'jacks.json'))
        keypoints.write_text(json.dumps(people))
        cut = (f'crop={PART[0]}:{PART[1]}:{CORNER[0]}:{CORNER[1]},'
               f'trim=start_frame={FRAMES.start}:end_frame={FRAMES.stop},setpts=PTS-STARTPTS')
        subprocess.run([*ffmpeg, '-i', folder / 'Sports2D/Demo/demo.mp4', '-vf', cut, '-crf', '16', part], check=True)
        subprocess.run([sys.executable, ROOT / 'predict.py', '--input', keypoints, '--video', part, '--focal',
                        str(FOCAL), '--person', 'best', '--render', drawn, '--viz_size', '2.5'], check=True)
        colors = 'fps=15,split[a][b];[a]palettegen=max_colors=64[p];[b][p]paletteuse=dither=none:diff_mode=rectangle'
        subprocess.run([*ffmpeg, '-i', drawn, '-vf', colors, ROOT / 'docs/images/jacks.gif'], check=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
