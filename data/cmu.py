"""Trials of the Carnegie Mellon database in 32 joints, from its .asf/.amc files or from their conversion to .bvh."""

import argparse
import glob
import os
import re

import numpy as np

from common.errors import UserError, listing
from data import bvh
from data.asfamc import INCH, far_ends, read_amc, read_asf

RECORDED_FPS = 120.0  # of .amc files, which do not record it
# The bone whose far end is each of the 32 joints; the Spine (12) is half way from the root to the thorax.
SPINE = 12
BONES_OF_JOINTS = (
    'root', 'rhipjoint', 'rfemur', 'rtibia', 'rfoot', 'rtoes', 'lhipjoint', 'lfemur', 'ltibia', 'lfoot', 'ltoes',
    'root', 'root', 'thorax', 'upperneck', 'head', 'thorax', 'lclavicle', 'lhumerus', 'lradius', 'lradius', 'lthumb',
    'lfingers', 'lfingers', 'thorax', 'rclavicle', 'rhumerus', 'rradius', 'rradius', 'rthumb', 'rfingers', 'rfingers')
# The joint of the MotionBuilder-friendly .bvh (B. Hahne, cgspeed) where a bone ends.
_SIDES = {'hipjoint': 'UpLeg', 'femur': 'Leg', 'tibia': 'Foot', 'foot': 'ToeBase', 'toes': 'ToeBase end',
          'clavicle': 'Arm', 'humerus': 'ForeArm', 'radius': 'Hand', 'fingers': 'HandIndex1 end'}
BVH_ENDS = {'root': 'Hips', 'thorax': 'Neck', 'upperneck': 'Head', 'head': 'Head end',
            **{initial + bone: side + joint for side, initial in (('Left', 'l'), ('Right', 'r'))
               for bone, joint in _SIDES.items()},
            'lthumb': 'LThumb end', 'rthumb': 'RThumb end'}
_CHEST = 'Spine1'  # begins where the thorax begins and turns with it; the conversion lost the thorax's length
_UNIT = INCH / 0.45  # metres, of .bvh as of .asf
_THIGH = (0.3, 0.6)  # metres, between which an adult's is


def add_source_flag(group: argparse._ActionsContainer) -> None:
    group.add_argument('--from-asfamc', '--from-bvh', dest='database', metavar='DIR',
                       help='folder that has the .asf and .amc files, or .bvh files of the MotionBuilder-friendly '
                            'conversion, at any depth')


def trials(folder: str) -> list[tuple[int, int, str]]:
    """(actor, trial, path) of every file below a folder that is named like 02_01.amc or 02_01.bvh, in order.

    Raises:
        UserError: there are none, a name is not like `02_01`, or a trial appears twice.
    """
    if not os.path.isdir(folder):
        raise UserError(f'{folder} is not a folder.')
    found: dict[tuple[int, int], str] = {}
    below = os.path.join(glob.escape(folder), '**', '*')
    for path in sorted(glob.glob(f'{below}.amc', recursive=True) + glob.glob(f'{below}.bvh', recursive=True)):
        match = re.fullmatch(r'(\d{1,4})_(\d{1,4})\.\w+', os.path.basename(path))
        if not match:
            raise UserError(f'{path} is not named like 02_01.amc, actor and trial; rename it or move it away.')
        other = found.setdefault((int(match[1]), int(match[2])), path)
        if other != path:
            raise UserError(f'{path} and {other} are the same trial; move one of them away.')
    if not found:
        raise UserError(f'{folder} has no .amc or .bvh file in it or below it; unpack the archives of the database '
                        'there.')
    return [(*key, found[key]) for key in sorted(found)]


def joints(path: str, fps: float) -> np.ndarray:
    """The 32 joints of a trial, an .amc beside the .asf of its actor, or a .bvh: (T, 32, 3) metres, z up, at `fps`.

    Raises:
        UserError: the file is damaged, or does not have the joints.
    """
    ends, recorded = _bvh_ends(path) if path.endswith('.bvh') else _asfamc_ends(path)
    if recorded < fps * 0.99:
        raise UserError(f'{path} has {recorded:.0f} frames a second, fewer than the {fps:g} that are asked for.')
    positions = np.stack([ends[bone] for bone in BONES_OF_JOINTS], axis=1)  # (T, 32, 3)
    positions[:, SPINE] = (ends['root'] + ends['thorax']) / 2
    positions = np.stack([positions[..., 0], -positions[..., 2], positions[..., 1]], axis=-1)  # from y up to z up
    return resample(positions, recorded / fps)


def resample(positions: np.ndarray, step: float) -> np.ndarray:
    """Every `step`-th frame, interpolated linearly where it falls between two frames.

    A cubic would not be better: with every second frame of 02_03 (jogging) left out, linear interpolation misses the
    joints by 1.1 mm and a cubic by 0.8 mm in the mean; at most both miss them by 15 mm, which is noise.
    """
    times = np.arange(int((len(positions) - 1) / step) + 1) * step
    before = times.astype(int)
    after = np.minimum(before + 1, len(positions) - 1)
    share = (times - before)[:, None, None]
    return positions[before] * (1 - share) + positions[after] * share


def _asfamc_ends(amc: str) -> tuple[dict[str, np.ndarray], float]:
    """{bone: (T, 3) metres, y up} where it ends, and frames a second."""
    asf = amc.rpartition('_')[0] + '.asf'
    if not os.path.exists(asf):
        raise UserError(f'{amc} has no {os.path.basename(asf)} beside it, the skeleton of its actor.')
    skeleton = read_asf(asf)
    lacking = set(BONES_OF_JOINTS) - {bone.name for bone in skeleton.bones}
    if lacking:
        raise UserError(f'{asf} has no bone {listing(sorted(lacking))}, which the 32 joints need.')
    return far_ends(skeleton, read_amc(amc, skeleton)), RECORDED_FPS


def _bvh_ends(path: str) -> tuple[dict[str, np.ndarray], float]:
    """As `_asfamc_ends`, of the MotionBuilder-friendly conversion, without its first frame, a T-pose."""
    motion = bvh.read_bvh(path)
    named = {joint.name: joint for joint in motion.joints}
    lacking = {_CHEST, *BVH_ENDS.values()} - named.keys()
    if lacking:
        raise UserError(f'{path} has no joint {listing(sorted(lacking), 4)}: it is not of the MotionBuilder-friendly '
                        'conversion. The ones for Daz and 3dsMax are not read: the body of the first is borrowed.')
    if len(motion.values) < 2:
        raise UserError(f'{path} has nothing behind its first frame, the T-pose.')
    thigh = float(np.linalg.norm(named['LeftLeg'].offset)) * _UNIT
    if not _THIGH[0] < thigh < _THIGH[1]:
        raise UserError(f'{path} has thighs of {thigh:.2f} m in units of {_UNIT:.4f} m, as the conversion has them: '
                        'this copy is in other units.')
    for joint in motion.joints:
        if joint.parent == _CHEST and not joint.offset.any():  # the bone before it is as long, to 2 mm
            joint.offset = named[_CHEST].offset
    found = bvh.positions(bvh.Motion(motion.joints, motion.values[1:], motion.fps))
    return {bone: found[joint] * _UNIT for bone, joint in BVH_ENDS.items()}, motion.fps
