"""The motion of the people in the demo data set: joint angles over time for each kind of action, within human limits.

Every angle follows straight ramps between key poses, plus a gait cycle and idle sway. It is clipped to its limits and
then smoothed by a Gaussian, which keeps it within the limits and removes jerks.
"""

from dataclasses import dataclass, field

import numpy as np

RATE = 50  # frames a second
MARGIN = 15  # additional frames at both ends, for the smoothing
SMOOTHING = 0.06  # seconds
MAX_SPEED = 300.0  # degrees a second of a ramp between two key poses

# name: (lowest, highest, idle sway, spread) in degrees; spread is the difference between takes of one stance. Positive
# is forward for `pitch` and `flex`, away from the middle for `out`, towards it for `in`, left side up for `roll` and
# `side`, towards the left for `twist`.
MIDDLE = {
    'pelvis_pitch': (-30, 80, 1, 2), 'pelvis_roll': (-15, 15, 1, 1),
    'trunk_flex': (-25, 65, 2, 3), 'trunk_side': (-30, 30, 1, 2), 'trunk_twist': (-40, 40, 3, 4),
    'neck_flex': (-35, 50, 3, 4), 'neck_side': (-30, 30, 2, 2), 'neck_twist': (-65, 65, 6, 12),
}
LIMB = {
    'hip_flex': (-20, 125, 1, 2), 'hip_out': (-20, 50, 1, 1.5), 'hip_in': (-60, 40, 1, 2), 'knee': (0, 150, 1, 2),
    'ankle': (-50, 30, 1, 2),
    'shoulder_flex': (-45, 170, 2, 0), 'shoulder_out': (-35, 150, 2, 0), 'shoulder_in': (-90, 90, 3, 0),
    'elbow': (0, 150, 3, 0),
}
ANGLES = MIDDLE | {f'{side}_{name}': row for side in 'rl' for name, row in LIMB.items()}
LOWER = [name for name in ANGLES if 'shoulder' not in name and 'elbow' not in name]  # the angles that a stance sets

# Key poses of an arm: flex, out and in of the shoulder, the elbow, their spread, and how loosely the arm hangs. A loose
# arm swings with the steps, and keeps its direction in the world when the trunk bends.
ARMS = {
    'hang': (2, 14, 5, 15, 3, 1), 'pocket': (-15, 22, 15, 40, 3, .1),
    'gesture': (45, 12, 30, 75, 10, .5), 'open': (45, 35, -20, 45, 8, .5), 'point': (90, 10, 10, 8, 10, 0),
    'reach': (100, 5, 10, 15, 8, 0), 'up': (150, 20, 0, 20, 5, 0), 'shake': (60, 5, 5, 30, 4, 0),
    'leash': (62, 8, 10, 18, 5, .2), 'table': (48, 14, 34, 66, 4, .8), 'lap': (27, 12, 18, 55, 4, .8),
    'mouth': (50, 5, 40, 135, 4, 0), 'ear': (35, 40, 30, 142, 3, 0), 'eyes': (65, 15, 40, 118, 4, 0),
    'chin': (50, 0, 50, 138, 3, 0), 'watch': (45, 0, 75, 100, 4, 0), 'fold': (46, -6, 72, 98, 3, 0),
    'tuck': (18, -4, 68, 95, 3, 0), 'hip': (-25, 45, 60, 85, 3, 0), 'behind': (-30, 15, 70, 70, 3, 0),
    'head': (50, 110, -50, 130, 4, 0),
    'wave_in': (20, 85, -75, 100, 4, 0), 'wave_out': (20, 85, -75, 55, 4, 0),
}


def pose(**degrees: float) -> dict[str, float]:
    """A pose, or a part of one, by names of angles."""
    return degrees


# Key poses of the rest of the body. `thigh` and `sole` are angles of thigh and foot to the world: thigh forward, toes
# down. An angle without a side is for both limbs. The right side leads.
STANCES = {
    'stand': pose(thigh=3, knee=5, hip_out=5, hip_in=-8),
    'step': pose(trunk_flex=6, pelvis_pitch=3, r_thigh=26, r_knee=12, l_thigh=-15, l_knee=6, hip_out=3, hip_in=-5),
    'shift': pose(pelvis_roll=8, trunk_side=-11, r_thigh=17, r_knee=32, r_hip_out=9, l_hip_out=3, l_knee=3, hip_in=-12),
    'bow': pose(pelvis_pitch=35, trunk_flex=30, neck_flex=15, thigh=9, knee=10, hip_out=4, hip_in=-8),
    'stoop': pose(pelvis_pitch=60, trunk_flex=45, thigh=22, knee=25, hip_out=8, hip_in=-10),
    'crouch': pose(pelvis_pitch=22, trunk_flex=32, thigh=95, knee=132, sole=20, hip_out=30, hip_in=-12),
    'kneel': pose(r_thigh=-3, r_knee=103, r_sole=76, l_thigh=86, l_knee=86, hip_out=5, trunk_flex=5),
    'lean': pose(pelvis_pitch=38, trunk_flex=25, thigh=52, knee=76, hip_out=7, hip_in=-6),
    'chair': pose(pelvis_pitch=-8, trunk_flex=12, thigh=88, knee=87, hip_out=8, hip_in=-4),
    'chair_back': pose(pelvis_pitch=-25, trunk_flex=8, neck_flex=15, thigh=81, knee=50, sole=-20, hip_out=8, hip_in=-4),
    'chair_lean': pose(pelvis_pitch=18, trunk_flex=28, neck_flex=-18, thigh=86, knee=92, hip_out=26, hip_in=-8),
    'chair_cross': pose(pelvis_pitch=-12, trunk_flex=14, r_thigh=110, r_hip_out=36, r_hip_in=-60, r_knee=105,
                        r_sole=-30, l_thigh=88, l_knee=87, l_hip_out=4),
    'floor_long': pose(pelvis_pitch=-20, trunk_flex=12, thigh=88, knee=12, sole=-78, hip_out=8),
    'floor_cross': pose(pelvis_pitch=-10, trunk_flex=28, thigh=108, knee=125, hip_out=44, hip_in=-60),
}
UPRIGHT = {'stand', 'step', 'shift', 'bow'}  # the stances in which steps can be taken and arms can hang

# Powers of a generalised golden ratio: their multiples, modulo 1, fill the unit cube of five dimensions evenly.
EVEN = [1.1347241384015194 ** -power for power in range(1, 6)]

# A gait cycle from heel strike on, as corners (moment of the cycle, degrees) of ramps, for a brisk walk.
GAIT = {
    'thigh': ((0, 27), (0.52, -15), (0.87, 31)),
    'knee': ((0, 2), (0.14, 16), (0.40, 3), (0.73, 64), (0.97, 2)),
    'sole': ((0, -17), (0.10, 0), (0.36, 0), (0.60, 58), (0.84, -12)),
}


@dataclass
class Kind:
    """A kind of action. `|` separates alternatives, a space separates key poses that follow one another."""

    stance: str
    lead: str = 'hang'  # the arm of the side that leads
    other: str = 'hang'
    beat: float = 0.45  # seconds between two key poses of an arm
    stride: tuple[float, float] = (0.1, 0.35)  # size of the steps, of a brisk walk's
    turn: tuple[float, float] = (50, 150)  # degrees a second, of one who steps
    extra: dict = field(default_factory=dict)  # added to every stance


STAND, SEATED = 'stand|step|shift|step', 'chair|chair_lean|chair_back|chair_cross'
KINDS = {
    'Directions': Kind(STAND, 'point|point|point hang|reach point', 'hang|hang|hip|point'),
    'Discussion': Kind(STAND, 'gesture|gesture open|reach gesture', 'gesture|open gesture|hang'),
    'Eating': Kind(f'stand|{SEATED}', 'mouth table|table mouth', 'table|table|lap', beat=0.6),
    'Greeting': Kind('stand|step|stand bow|bow stand', 'wave_in wave_out|shake|shake|up hang', 'hang', beat=0.35),
    'Phoning': Kind(f'{STAND}|{SEATED}', 'ear', 'hang|gesture|hip|tuck|table'),
    'Photo': Kind('stand|step|kneel|stand kneel|lean|crouch', 'eyes', 'eyes'),
    'Posing': Kind('shift|step|shift stand|step shift', 'hip|head|up|point|open|behind', 'hip|hang|open|head',
                   beat=0.8),
    'Purchases': Kind('stand stoop|stoop stand|stand crouch|step|stoop', 'reach|reach hang|table reach', 'hang|reach'),
    'Sitting': Kind(SEATED, 'lap|table|chin|gesture|fold|mouth', 'lap|table|tuck|gesture', beat=0.6),
    'SittingDown': Kind('stand lean chair|chair lean stand|stand crouch floor_cross|crouch floor_cross|floor_cross'
                        '|chair_lean chair|floor_long', 'hang lap|lap|table', 'hang lap|lap|hang', beat=0.8),
    'Smoking': Kind(f'stand|step|{SEATED}', 'mouth open|mouth|hang mouth|mouth table', 'tuck|hang|table|lap'),
    'Waiting': Kind('shift|shift stand|step|chair|chair_lean', 'fold|hip|watch|pocket', 'tuck|hip|hang|pocket',
                    beat=0.8),
    'WalkDog': Kind('stand', 'leash', stride=(0.7, 1.0), turn=(20, 90), extra=pose(trunk_flex=12, pelvis_pitch=7)),
    'Walking': Kind('stand', stride=(0.75, 1.05), turn=(20, 90), extra=pose(trunk_flex=3, pelvis_pitch=2)),
    'WalkTogether': Kind('stand', 'hang|hang|gesture', stride=(0.6, 0.9), turn=(20, 90), extra=pose(neck_twist=35)),
}


def act(rng: np.random.Generator, kind: str, variant: int, frames: int) -> tuple[dict[str, np.ndarray], bool]:
    """Perform an action.

    Args:
        rng: draws the random differences between takes.
        kind: one of `KINDS`.
        variant: number of the take; alternatives, facing and the leading side are spread evenly over the takes.
        frames: number of frames at `RATE`; the caller cuts off the first and the last `MARGIN`.
    Returns:
        {name: (frames,) degrees} for `facing` and every one of `ANGLES`, and whether there is a chair to sit on.
    """
    spec, time = KINDS[kind], np.arange(frames) / RATE
    chance = (np.array(EVEN) * variant + list(KINDS).index(kind) / len(KINDS)) % 1  # a low-discrepancy sequence
    stances, lead, other = (_choice(text, draw) for text, draw in zip((spec.stance, spec.lead, spec.other), chance))
    upright = UPRIGHT.issuperset(stances)
    stride = rng.uniform(*spec.stride) if upright else 0.0
    phase = rng.uniform() + rng.uniform(0.8, 0.95) * time

    spread = np.array([ANGLES[name][3] for name in LOWER]) * (1.0 if upright else 1.5)
    keys = np.array([_stance(name, spec.extra) for name in stances])
    angle = dict(zip(LOWER, through(rng, keys, spread, 1.0, time).T))
    rate = rng.uniform(*(spec.turn if stride else (15, 45)))
    angle['facing'] = 360 * chance[3] + rate * time + 6 * _wander(rng, time)
    _add_steps(angle, phase, stride)
    for side, names, offset in (('r', lead, 0.0), ('l', other, 0.5)):
        table = np.array([ARMS['lap' if name == 'hang' and not upright else name] for name in names], float)
        *arm, loose = through(rng, table[:, [0, 1, 2, 3, 5]], table[:, 4:5] * (1, 1, 1, 1, 0), spec.beat, time).T
        angle |= zip((f'{side}_shoulder_flex', f'{side}_shoulder_out', f'{side}_shoulder_in', f'{side}_elbow'), arm)
        swing = 30 * stride * np.cos(2 * np.pi * (phase + offset))
        angle[f'{side}_shoulder_flex'] += loose * (0.8 * (angle['pelvis_pitch'] + angle['trunk_flex']) - swing)
        angle[f'{side}_elbow'] += loose * (10 * stride - 0.4 * swing)

    for name, (low, high, sway, _) in ANGLES.items():
        angle[name] = smooth(np.clip(angle[name] + sway * _wander(rng, time), low, high), SMOOTHING)
    return (_mirrored(angle) if chance[4] < 0.5 else angle), any(name.startswith('chair') for name in stances)


def through(rng: np.random.Generator, keys: np.ndarray, spread: np.ndarray, beat: float,
            time: np.ndarray) -> np.ndarray:
    """Ramps through key poses, visited in turn from a random moment on.

    Args:
        keys: (K, C) degrees.
        spread: (C,) or (K, C), standard deviation from the keys. Half of this variance is constant within a take, the
            other half is drawn again at each visit.
        beat: usual seconds of a ramp, longer where it would be faster than `MAX_SPEED`; a key is held for up to half.
        time: (T,) seconds.
    Returns:
        (T, C) degrees.
    """
    visits = np.arange(4 + int((time[-1] + 1) / beat) + len(keys)) % len(keys)
    draws = 0.7 * rng.normal(size=(1, keys.shape[1])) + 0.7 * rng.normal(size=(len(visits), keys.shape[1]))
    values = keys[visits] + np.broadcast_to(spread, keys.shape)[visits] * draws.clip(-2, 2)
    fastest = np.abs(np.diff(values, axis=0)).max(axis=1) / MAX_SPEED
    ramps = np.maximum(beat * rng.uniform(0.7, 1.3, len(fastest)), fastest)
    holds = beat * rng.uniform(0.0, 0.5, len(visits))
    leave = np.cumsum(holds + np.append(0, ramps))
    moments = np.stack([leave - holds, leave], axis=1).ravel()
    start = rng.uniform(0, moments[2 * len(keys)])
    return np.stack([np.interp(start + time, moments, column) for column in np.repeat(values, 2, axis=0).T], axis=1)


def smooth(signal: np.ndarray, seconds: float) -> np.ndarray:
    """A signal (T, ...) at `RATE` smoothed along its first axis by a Gaussian of that standard deviation."""
    from scipy.ndimage import gaussian_filter1d  # here, because every training imports this file
    return gaussian_filter1d(signal, seconds * RATE, axis=0, mode='nearest', truncate=3)


def _choice(text: str, chance: float) -> list[str]:
    """The key poses of one of the alternatives in a description, chosen by a number from 0 to 1."""
    alternatives = text.split('|')
    return alternatives[int(chance * len(alternatives))].split()


def _wander(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Idle sway of about unit size: slow sinusoids of random phase."""
    rates = rng.uniform(0.2, 1.0, 3)
    return np.sin(2 * np.pi * (rates * time[:, None] + rng.uniform(size=3))).sum(axis=1) / 1.5


def _stance(name: str, extra: dict[str, float]) -> list[float]:
    """The angles between bones of a stance, in the order of LOWER; `STANCES` has angles to the world."""
    bones = dict.fromkeys(LOWER, 0.0) | extra
    world: dict[str, float] = {}
    for key, value in STANCES[name].items():
        for full in ([key] if key in bones or key[1] == '_' else [f'r_{key}', f'l_{key}']):
            if full in bones:
                bones[full] += value
            else:
                world[full] = value
    for side in 'rl':
        thigh, sole = world.get(f'{side}_thigh', 0), world.get(f'{side}_sole', 0)
        bones[f'{side}_hip_flex'] = thigh + bones['pelvis_pitch']
        bones[f'{side}_ankle'] = bones[f'{side}_knee'] - thigh - sole
        bones[f'{side}_hip_out'] += bones['pelvis_roll'] * (1 if side == 'r' else -1)
    return [bones[key] for key in LOWER]


def _add_steps(angle: dict[str, np.ndarray], phase: np.ndarray, stride: float) -> None:
    """Add a gait cycle of the given size to the legs, and the motion of pelvis and trunk that goes with it."""
    for side, offset in (('r', 0.0), ('l', 0.5)):
        thigh, knee, sole = (stride * np.interp(phase + offset, moments, degrees, period=1)
                             for moments, degrees in (zip(*corners) for corners in GAIT.values()))
        angle[f'{side}_hip_flex'] += thigh
        angle[f'{side}_knee'] += knee
        angle[f'{side}_ankle'] += knee - thigh - sole
    forward, across = (stride * np.cos(2 * np.pi * (phase - lag)) for lag in (0.0, 0.2))
    angle['facing'] += 5 * forward
    angle['trunk_twist'] -= 11 * forward
    angle['neck_twist'] += 6 * forward
    angle['pelvis_roll'] -= 3 * across
    angle['trunk_side'] += 3 * across
    angle['r_hip_out'] -= 3 * across
    angle['l_hip_out'] += 3 * across


def _mirrored(angle: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same motion with left and right exchanged."""
    other = {'r_': 'l_', 'l_': 'r_'}
    signed = ('roll', 'side', 'twist', 'facing')
    return {other.get(name[:2], name[:2]) + name[2:]: -value if name.endswith(signed) else value
            for name, value in angle.items()}
