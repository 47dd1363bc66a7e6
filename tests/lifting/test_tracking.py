"""Tracks: who is who, gaps, and left and right swapped for a while."""

import numpy as np
import pytest

from common.datasets import h36m
from common.errors import UserError
from common.geometry import body
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.anatomy import HumanBody
from common.lifting.formats.people import Detections, Person
from common.lifting.tracks import tracking
from common.lifting.tracks.framing import misplaced_joints
from common.lifting.tracks.swaps import fix_swaps
from common.lifting.tracks.tracking import Track, choose, fill_gaps, make_tracks
from tests.helpers.make_detections import demo_walking

H36M = LAYOUTS['h36m16']


@pytest.fixture(scope='module')
def walking():
    return demo_walking()


def detections(frames, joined=False):
    """{frame: [(16, 2) or (keypoints, score, track)]} as Detections."""
    def who(entry):
        keypoints, score, track = entry if isinstance(entry, tuple) else (entry, 0.9, None)
        return Person(keypoints, np.full(16, score), score, track)
    people = {frame: [who(entry) for entry in entries] for frame, entries in frames.items()}
    return Detections('x.json', 'coco', people, joined=joined)


def track_of(keypoints):
    count = len(keypoints)
    return Track('0', np.arange(count), keypoints.copy(), np.ones((count, 16)), np.zeros((count, 16), bool),
                 np.zeros((count, 2), bool))


def test_people_are_kept_apart_whatever_their_order(walking, rng):
    other = walking[::-1] + (400, 30)
    frames = {}
    for frame in range(len(walking)):
        entries = [walking[frame], other[frame]]
        frames[frame] = [entries[index] for index in rng.permutation(2)]
    tracks = make_tracks(detections(frames), H36M)
    assert len(tracks) == 2
    for track in tracks:
        expected = walking if abs(track.keypoints[0, 0, 0] - walking[0, 0, 0]) < 1 else other
        np.testing.assert_array_equal(track.keypoints, expected)


def test_somebody_alone_is_followed_as_among_others(walking):
    """Frames with one person take a shorter way through the costs."""
    jumps = {5: (300, 0), 9: (0, 20), 20: (-400, 100), 30: (40, 0)}
    alone = walking.copy()
    for frame, jump in jumps.items():
        alone[frame:] += jump
    far = np.repeat(walking[:1] * 0.5 + (4000, 4000), len(walking), 0)
    tracks = make_tracks(detections({frame: [alone[frame]] for frame in range(len(alone))}), H36M)
    others = make_tracks(detections({frame: [alone[frame], far[frame]] for frame in range(len(alone))}), H36M)
    near = [track for track in others if np.nanmax(track.keypoints) < 3000]
    assert len(tracks) == len(near) > 1
    for track, other in zip(tracks, near):
        np.testing.assert_array_equal(track.frames, other.frames)
        np.testing.assert_array_equal(track.keypoints, other.keypoints)


def test_more_people_than_are_converted_at_a_time(walking, monkeypatch):
    frames = detections({frame: [walking[frame]] for frame in range(len(walking))})
    expected = make_tracks(frames, H36M)[0]
    monkeypatch.setattr(tracking, 'AT_A_TIME', 7)
    made = make_tracks(frames, H36M)[0]
    for name in ('keypoints', 'scores', 'facing'):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))


def test_somebody_who_comes_back_soon_is_the_same_and_after_long_somebody_new(walking):
    frames = {frame: [walking[0]] if not 10 <= frame < 20 and not 30 <= frame < 150 else [] for frame in range(160)}
    tracks = make_tracks(detections(frames), H36M, max_lost=15)
    assert [(track.frames[0], track.frames[-1]) for track in tracks] == [(0, 29), (150, 159)]
    assert np.isnan(tracks[0].keypoints[10:20]).all() and not tracks[0].complete[10:20].any()


def test_identifiers_decide_and_frames_keep_their_numbers(walking, capsys):
    frames = {frame: [(walking[0], 0.9, 'b'), (walking[0] + 5, 0.8, 'a'), (walking[0] + 400, 0.7, None)]
              for frame in (100, 105, 115)}
    frames[115].append((walking[0] + 9, 0.95, 'a'))
    tracks = {track.name: track for track in make_tracks(detections(frames), H36M)}
    assert tracks.keys() == {'a', 'b'}
    assert tracks['a'].frames.tolist() == [100, 105, 110, 115]
    assert tracks['a'].keypoints[3, 0, 0] == walking[0, 0, 0] + 9 and np.isnan(tracks['a'].keypoints[2]).all()
    err = capsys.readouterr().err
    assert '3 of 10 detections have no identifier' in err and '1 times an identifier stands twice' in err


def test_frames_that_no_video_has_are_refused(walking):
    with pytest.raises(UserError, match='spans 900,000,001 frames'):
        make_tracks(detections({0: [(walking[0], 1.0, 'a')], 1: [], 900_000_000: [(walking[0], 1.0, 'a')]}), H36M)


def test_who_is_lost_is_counted_in_frames_that_were_looked_at(walking):
    found = detections({frame: [(walking[0], 1.0, None)] for frame in (0, 5, 10, 25, 30)})
    assert [len(make_tracks(found, H36M, max_lost=lost)) for lost in (3, 2)] == [1, 2]


def test_few_detections_do_not_make_many_rows(walking):
    """Found by fuzzing: each row takes memory, whatever it holds, and each person has rows of their own."""
    def seen(last, people):
        return detections({0: people, 1: people, last: people})

    alone, crowd = ([(walking[0], 1.0, name) for name in names] for names in ('a', 'abcdefgh'))
    assert len(make_tracks(seen(9_000, alone), H36M)[0].frames) == 9_001
    with pytest.raises(UserError, match=r'has 24 detections, but track a spans 9,001 frames, from 0 to 9000'):
        make_tracks(seen(9_000, crowd), H36M)
    with pytest.raises(UserError, match=r'has 3 detections, but track a spans 50,001 frames'):
        make_tracks(seen(50_000, alone), H36M)
    every = dict.fromkeys(range(500), alone)
    assert len(make_tracks(detections({**every, 50_000: alone}), H36M)[0].frames) == 50_001


def test_short_gaps_are_filled_and_marked_and_long_ones_stay(walking):
    line = np.linspace(0, 1, 31)[:, None, None] * np.array([30.0, 60.0]) + walking[:1]
    gappy = line.copy()
    gappy[:2, 3] = np.nan  # at the start: nothing before
    gappy[5:8, 3] = np.nan
    gappy[10:14, 3] = np.nan
    track = track_of(gappy)
    fill_gaps(track, 3)
    assert np.flatnonzero(track.interpolated[:, 3]).tolist() == [5, 6, 7] and track.interpolated.sum() == 3
    np.testing.assert_allclose(track.keypoints[5:8], line[5:8])
    assert np.isnan(track.keypoints[[0, 1, 10, 13], 3]).all()


def test_low_scores_count_as_missing(walking):
    frames = {frame: [walking[0]] for frame in range(3)}
    found = detections(frames)
    found.people[1][0].scores[4] = 0.2
    (track,) = make_tracks(found, H36M, min_score=0.3)
    assert np.argwhere(np.isnan(track.keypoints[..., 0])).tolist() == [[1, 4]] and track.scores[1, 4] == 0


def test_the_best_person_is_there_longer(walking):
    tracks = [track_of(walking[:5]), track_of(walking)]
    tracks[1].name = '7'
    assert choose(tracks, 'best', 'x')[0] is tracks[1] and choose(tracks, '7', 'x') == [tracks[1]]
    assert choose(tracks, 'all', 'x') == tracks
    with pytest.raises(UserError, match='--person 9: x has the people 0, 7'):
        choose(tracks, '9', 'x')


def test_ghosts_are_dropped_with_one_line(walking, capsys):
    tracks = make_tracks(detections({frame: [walking[0], *([walking[0] + 500 + 9 * frame] if frame % 16 == 0 else [])]
                                     for frame in range(40)}), H36M, max_lost=3)
    assert len(tracks) == 4 and choose(tracks, 'all', 'x') == tracks[:1]
    out = capsys.readouterr().out
    assert out.startswith('x: 3 detections of 3 people, each in fewer than 5 frames') and out.count('\n') == 1
    assert choose(tracks, '2', 'x') == [tracks[2]] and choose(tracks[1:], 'all', 'x') == tracks[1:]


def test_identifiers_that_everybody_shares_are_ignored(walking, capsys):
    found = detections({frame: [(walking[frame], 0.9, '0'), (walking[frame] + 400, 0.9, '0')] for frame in range(9)})
    tracks = make_tracks(found, H36M)
    assert [len(track.frames) for track in tracks] == [9, 9]
    assert 'share an identifier in 9 of 9 frames' in capsys.readouterr().err


def test_joints_guessed_at_the_border_are_hidden(walking):
    cut = walking - walking[:, :1] + (500, 600)
    cut[:, [2, 3, 5, 6], 1] = 995 - np.arange(4.0)  # legs folded into the lower edge
    for scored, hidden in ((True, False), (False, True)):
        track = track_of(cut)
        HumanBody(body.SKELETON).drop_guesses(track, (1000, 1000), 30, scored)
        assert track.hidden[:, [2, 3, 5, 6]].all() == hidden and not track.hidden[:, [0, 7, 8, 9]].any()
    (sentence,) = misplaced_joints(track, (1000, 1000), body.SKELETON)
    assert 'right knee (100%), right foot (100%), left knee (100%), left foot (100%)' in sentence


@pytest.mark.parametrize('every', [1, 3, 5, 10, 15])
def test_nothing_is_exchanged_on_dancers_at_low_rates(shared, every):
    entries = np.load(shared('mocap/free_mocap.npz'))
    names, clip, positions = (entries[name] for name in ('names', 'clip', 'positions'))
    dancers = [index for index, name in enumerate(names) if name.startswith(('cmu_060', 'cmu_061'))][::4]
    cameras = h36m.cameras()['S9']
    for index in dancers:
        poses = positions[clip == index][::every]
        poses = poses - poses[:1, :1] * (1, 1, 0)
        for camera in cameras[:2]:
            seen = project(world_to_camera(poses.astype(np.float32), camera), camera)
            track = track_of(image_coordinates(seen.astype(float), 1000, 1000))
            fix_swaps(track)
            assert not track.swapped.any(), (names[index], camera.name)


def test_sides_that_agree_with_the_face_are_kept(walking):
    views = [(0.9, 60.0), (0.9, 40.0), (0.9, 5.0), (0.0, -30.0), (0.0, -60.0), (0.0, -30.0), (0.9, 20.0), (0.9, 45.0)]
    keypoints = np.tile(walking[:1], (8, 1, 1))
    for frame, (_, width) in enumerate(views):
        for right, left in body.LEGS + body.ARMS:  # somebody who turns: the sides narrow, cross and widen
            middle = keypoints[frame, [right, left], 0].mean()
            keypoints[frame, [right, left], 0] = middle - width, middle + width
    track = track_of(keypoints)
    track.facing = np.array([1.0 if score > 0.5 else -1.0 for score, _ in views])
    fix_swaps(track)
    assert not track.swapped.any()


@pytest.mark.parametrize('group', [0, 1])
def test_swapped_sides_are_found_exchanged_and_counted(walking, group):
    right, left = (list(side) for side in zip(*(body.LEGS, body.ARMS)[group]))
    swapped = walking.copy()
    rows = np.arange(12, 20)
    swapped[rows[:, None], right + left] = swapped[rows[:, None], left + right]
    track = track_of(swapped)
    fix_swaps(track)
    np.testing.assert_array_equal(track.keypoints, walking)
    assert np.flatnonzero(track.swapped[:, group]).tolist() == rows.tolist() and not track.swapped[:, 1 - group].any()


def test_motion_without_swaps_is_left_alone(shared):
    from common.datasets.loading import load_dataset, load_keypoints
    dataset = load_dataset('cmu', str(shared('mocap')))
    for action, views in load_keypoints(dataset, 'gt', str(shared('mocap')))['S9'].items():
        for view in views:
            track = track_of(image_coordinates(view.astype(float), 1000, 1000))
            fix_swaps(track)
            assert not track.swapped.any(), action


def test_swaps_are_searched_past_missing_joints_and_short_tracks(walking):
    gappy = walking.copy()
    gappy[10:13, 3] = np.nan
    gappy[20] = np.nan
    track = track_of(gappy)
    fix_swaps(track)
    np.testing.assert_array_equal(track.keypoints, gappy)
    for count in range(4):
        fix_swaps(track_of(walking[:count]))
    fix_swaps(track_of(np.full((9, 16, 2), np.nan)))


def test_somebody_who_comes_back_keeps_the_identity(walking):
    """Hidden for a second, or out of the image for two: the same track, unless place or size differ."""
    def tracks(move=(0, 0), size=1.0, gap=30, other=False):
        before = {frame: walking[frame] for frame in range(10)}
        back = (walking[10:20] - walking[10, 0]) * size + walking[9, 0] + np.array(move)
        people = {frame: [Person(points, np.ones(16))] for frame, points in
                  {**before, **{10 + gap + frame: points for frame, points in enumerate(back)}}.items()}
        if other:  # somebody else is there all the time
            for frame in range(30 + gap):
                people.setdefault(frame, []).append(Person(walking[0] + (400, 0), np.ones(16)))
        found = Detections('k', 'test', dict(sorted(people.items())), 'h36m16')
        return make_tracks(found, LAYOUTS['h36m16'])

    height = np.ptp(walking[9, :, 1])
    (one,) = tracks()
    assert len(one.frames) == 50 and one.complete.sum() == 20
    assert len(tracks(move=(0.6 * height, 0), gap=60)) == 1
    assert sorted(track.complete.sum() for track in tracks(other=True)) == [20, 60]
    assert len(tracks(move=(1.2 * height, 0))) == 2
    assert len(tracks(size=1.5)) == 2
    assert len(tracks(gap=200)) == 2
