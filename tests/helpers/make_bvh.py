"""Files of the .bvh format, and files of the conversion of the Carnegie Mellon database."""

import numpy as np

# The hierarchy of the MotionBuilder-friendly conversion of CMU's database: {joint: its parent}.
SIDES = ('Left', 'Right')
TREE = {'Hips': '', **{joint: parent for side in SIDES for joint, parent in (
            (f'{side[0]}HipJoint', 'Hips'), (f'{side}UpLeg', f'{side[0]}HipJoint'), (f'{side}Leg', f'{side}UpLeg'),
            (f'{side}Foot', f'{side}Leg'), (f'{side}ToeBase', f'{side}Foot'))},
        'LowerBack': 'Hips', 'Spine': 'LowerBack', 'Spine1': 'Spine', 'Neck': 'Spine1', 'Neck1': 'Neck',
        'Head': 'Neck1',
        **{joint: parent for side in SIDES for joint, parent in (
            (f'{side}Shoulder', 'Spine1'), (f'{side}Arm', f'{side}Shoulder'), (f'{side}ForeArm', f'{side}Arm'),
            (f'{side}Hand', f'{side}ForeArm'), (f'{side}FingerBase', f'{side}Hand'),
            (f'{side}HandIndex1', f'{side}FingerBase'), (f'{side[0]}Thumb', f'{side}Hand'))}}
ORDER = ('Zrotation', 'Yrotation', 'Xrotation')


def make_bvh(tree, offsets, rows, seconds=0.0083333, orders=None) -> str:
    """A file of joints {name: parent}, their offsets, where the limbs end, and the numbers of each frame."""
    lines = ['HIERARCHY']

    def add(name, depth):
        channels = (orders or {}).get(name, ORDER)
        channels = channels if depth else ('Xposition', 'Yposition', 'Zposition', *channels)
        offset = ' '.join(f'{value:.9f}' for value in offsets[name])
        lines.extend([f'{"JOINT" if depth else "ROOT"} {name}', '{', f'\tOFFSET {offset}',
                      f'\tCHANNELS {len(channels)} {" ".join(channels)} '])
        children = [child for child, parent in tree.items() if parent == name]
        for child in children:
            add(child, depth + 1)
        if not children:
            lines.extend(['End Site', '{', f'OFFSET {" ".join(map(str, offsets[name + " end"]))}', '}'])
        lines.append('}')

    add(next(iter(tree)), 0)
    lines += ['MOTION', f'Frames:\t{len(rows)}', f'Frame Time: {seconds}']
    return '\n'.join([*lines, *(' '.join(f'{value:.9f}' for value in row) for row in rows), ''])


def small_bvh(tree=TREE, length=7.5, frames=3, seconds=0.0083333) -> str:
    """All bones up and of one length, and nothing moves."""
    offsets = {name: (0, length, 0) for joint in tree for name in (joint, f'{joint} end')}
    return make_bvh(tree, offsets, np.zeros((frames, 3 + 3 * len(tree))), seconds)
