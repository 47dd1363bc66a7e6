"""Blender imports the BVH that predict.py writes, and every bone is where the lifted joint is (`make test-blender`).

    python tests/blender_check.py write FOLDER      with the program: lifts people who stand, lie and stand on hands
    python tests/blender_check.py check FOLDER      with Blender's module bpy: imports the files, compares with the .trc

Checked are the frame rate, the range, the bones' names and lengths, their places in the room, and the floor.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FPS, TURNS = 25, {'standing': 0, 'lying': 90, 'upside_down': 180}  # degrees
CLOSE, SHORTEST = 1e-3, 1e-2  # metres
BONES = {'Hip': 'Hips', 'Spine': 'Spine1', 'Neck': 'Neck', 'Head': 'Head'}  # the bone that begins at a marker
for side in ('Left', 'Right'):
    BONES |= {side[0] + marker: side + bone for marker, bone in (
        ('Hip', 'UpLeg'), ('Knee', 'Leg'), ('Ankle', 'Foot'), ('Shoulder', 'Arm'), ('Elbow', 'ForeArm'),
        ('Wrist', 'Hand'))}
FURTHER = {'Spine', 'LeftShoulder', 'RightShoulder'}


def write(folder: Path) -> None:
    """Make keypoints of somebody who walks, turned in the image, and lift them."""
    sys.path.insert(0, str(ROOT))
    from tests.helpers.make_detections import demo_walking

    folder.mkdir(parents=True, exist_ok=True)
    for name, degrees in TURNS.items():
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn, middle = np.array([[cosine, sine], [-sine, cosine]]), np.array([500, 500])
        np.save(folder / f'{name}.npy', (demo_walking(2) - middle) @ turn + middle)
        subprocess.run([sys.executable, str(ROOT / 'predict.py'), '--input', str(folder / f'{name}.npy'), '--layout',
                        'h36m16', '--size', '1000x1000', '--fps', str(FPS), '--output', str(folder / f'{name}.trc'),
                        '--bvh', str(folder / f'{name}.bvh')], check=True)


def check(path: Path) -> None:
    """Import a file into an empty scene and compare every frame."""
    import bpy

    markers, truth = read_markers(path.with_suffix('.trc'))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module='io_anim_bvh')
    bpy.ops.import_anim.bvh(filepath=str(path), update_scene_fps=True)
    scene, body = bpy.context.scene, bpy.context.object
    rate = scene.render.fps / scene.render.fps_base
    assert abs(rate - FPS) < 1e-3, f'{rate} frames a second'
    first, last = body.animation_data.action.frame_range
    assert (first, last) == (1, len(truth)), f'frames {first} to {last}'
    assert set(body.data.bones.keys()) == {*BONES.values(), *FURTHER}, body.data.bones.keys()
    shortest = min(body.data.bones, key=lambda bone: bone.length)
    assert shortest.length > SHORTEST, f'{shortest.name} has a length of {shortest.length} m'
    heads, lowest = np.zeros(truth.shape), np.inf
    for frame in range(len(truth)):
        scene.frame_set(frame + 1)
        bones = body.pose.bones
        for place, marker in enumerate(markers):
            x, y, z = body.matrix_world @ bones[BONES[marker]].head
            heads[frame, place] = x, z, -y  # Blender's z is up
        lowest = min(lowest, *((body.matrix_world @ end).z for bone in bones for end in (bone.head, bone.tail)))
    away = np.linalg.norm(heads - truth, axis=-1)
    print(f'{path.name}: {len(truth)} frames at {rate:g} a second, {len(body.data.bones)} bones of '
          f'{shortest.length:.3f} m and more, joints within {1000 * away.max():.2f} mm, lowest point '
          f'{1000 * lowest:.1f} mm, hips at {np.median(heads[:, markers.index("Hip"), 1]):.2f} m')
    assert away.max() < CLOSE, f'{markers[away.max(0).argmax()]} is {1000 * away.max():.1f} mm away'
    assert lowest > -CLOSE, f'{1000 * lowest:.1f} mm below the floor'


def read_markers(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and (T, J, 3) of a .trc file."""
    lines = path.read_text().splitlines()
    values = np.array([line.split('\t')[2:] for line in lines[6:]], float)
    return lines[3].split()[2:], values.reshape(len(values), -1, 3)


if __name__ == '__main__':
    folder = Path(sys.argv[2])
    if sys.argv[1] == 'write':
        write(folder)
    else:
        files = [folder / f'{name}.bvh' for name in TURNS]
        for file in files:
            check(file)
        print(f'{len(files)} passed, 0 failed')
