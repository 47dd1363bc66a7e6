"""Cameras of a file: wide ones, people behind them, impossible ones, and mirror images about the principal point."""

import numpy as np
import pytest
import torch

from common.datasets import cache as pose_cache
from common.datasets import h36m, loading
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.datasets.visibility import warn_of_mirror_images
from common.errors import UserError
from common.evaluation.evaluate import EvaluationOptions, evaluate
from common.files import npz
from common.geometry.camera import Camera, project
from common.geometry.mirror import Mirror
from common.training.augmentation import AugmentedSamples, CameraBatch
from common.training.recipe import Recipe
from tests.helpers.make_datasets import skeleton_entries, walkers, write_set

CPU = torch.device('cpu')
LEVEL = {'R': [[1, 0, 0], [0, 0, -1], [0, 1, 0]], 't': [0, 1.2, 4]}
PLAIN = {'width': 1920, 'height': 1080, 'focal_length': 1000, **LEVEL}


def moved(x=0.0, y=0.0):
    """Walking people near the origin, who stand at (x, y)."""
    people = walkers(('Ada', 'Ben'), joints=h36m.skeleton().names)
    return {subject: {action: np.float32(take - take[:, :1].mean(0) * (1, 1, 0) + (x, y, 0))
                      for action, take in takes.items()} for subject, takes in people.items()}


def write(folder, people, camera):
    write_set(folder, 'own', people, cameras=[camera], train_subjects=['Ada'], test_subjects=['Ben'],
              **skeleton_entries(h36m.skeleton()))
    return DataOptions('own', 'gt', data_dir=str(folder))


def pixels_by_hand(take, camera):
    """f X / Z + c of every joint, without any distortion."""
    seen = take @ np.array(camera['R']).T + camera['t']
    centre = camera.get('center', (camera['width'] / 2, camera['height'] / 2))
    return seen[..., :2] / seen[..., 2:] * camera['focal_length'] + centre


@pytest.mark.parametrize('focal, aside', [(600, -5.2), (400, 5.5)])  # 116 and 135 degrees wide
def test_a_wide_camera_sees_beyond_45_degrees(tmp_path, focal, aside):
    camera = {**PLAIN, 'focal_length': focal}
    people = moved(aside)
    options = write(tmp_path, people, camera)
    projected = Data(options).test()
    views = {subject: {action: [pixels_by_hand(take, camera)] for action, take in takes.items()}
             for subject, takes in people.items()}
    assert (np.abs(views['Ben']['Walking'][0][..., 0] - 960) > focal).all()  # X / Z is larger than 1
    npz.write_npz(str(tmp_path / 'data_2d_own_true.npz'), positions_2d=views)
    torch.testing.assert_close(Data(DataOptions('own', 'true', data_dir=str(tmp_path))).test().keypoints,
                               projected.keypoints, rtol=0, atol=1e-4)
    found = CameraBatch(projected.cameras, CPU).project(projected.positions + projected.roots[:, None], projected.views)
    torch.testing.assert_close(found, projected.keypoints, rtol=0, atol=1e-4)


def test_human36m_keeps_its_clamp_through_files_and_copies():
    camera = h36m.cameras()['S1'][0]
    assert camera.clamped and not Camera.from_dict({**vars(camera), 'clamped': False}).clamped
    far = np.array([[3.0, 0.2, 1.0]])
    np.testing.assert_array_equal(project(far, camera), project(far * (1 / 3, 1, 1), camera))


def test_the_cache_keeps_the_kind_of_camera(tmp_path, monkeypatch):
    monkeypatch.setattr(pose_cache, 'SMALL', 0)
    monkeypatch.setattr(pose_cache, 'SETTLED', 0)
    for entry, clamped in (([PLAIN], False), ({'Ada': 'S1', 'Ben': 'S9'}, True)):
        write_set(tmp_path, 'own', moved(), cameras=entry, train_subjects=['Ada'], test_subjects=['Ben'],
                  **skeleton_entries(h36m.skeleton()))
        for _ in range(2):
            assert {camera.clamped for camera in Data(DataOptions('own', data_dir=str(tmp_path))).test().cameras} == {
                clamped}


@pytest.mark.parametrize('steps', [19, 30])
def test_people_behind_a_camera_are_left_out_counted_and_said(tmp_path, capsys, steps):
    """They walk towards the camera, through it, and on."""
    people = moved()
    for takes in people.values():
        for action, take in takes.items():
            takes[action] = np.float32(take - np.arange(len(take))[:, None, None] * (0, 4 / steps, 0))
    options = write(tmp_path, people, PLAIN)
    data = Data(options)
    poses = data.test()
    depth = {action: take[..., 1] + 4 for action, take in people['Ben'].items()}
    kept = {action: np.flatnonzero((each > 0).all(1)) for action, each in depth.items()}
    total, count = sum(map(len, depth.values())), sum(map(len, kept.values()))
    assert 20 < count < total and poses.numbers.tolist() == [*kept['Walking'], *kept['Eating']]
    assert f'{total - count} of {total} poses to test ({(total - count) / total:.1%}) have a joint that is behind the '\
           'camera, and are left out for that camera: Ben in camera 0' in capsys.readouterr().err
    assert poses.keypoints.isfinite().all() and len(data.test(0.0)) == total  # virtual cameras use the 3D alone
    views = {subject: {action: [pixels_by_hand(take, PLAIN).clip(-9e4, 9e4)] for action, take in takes.items()}
             for subject, takes in people.items()}
    npz.write_npz(str(tmp_path / 'data_2d_own_det.npz'), positions_2d=views)
    assert torch.equal(Data(DataOptions('own', 'det', data_dir=str(tmp_path))).test().numbers, poses.numbers)


IMPOSSIBLE = {
    'mm': ({'focal_length': 35}, 'focal length of 35 for an image of 1920x1080, which is a field of view of 176'),
    'fraction': ({'focal_length': [0.6, 0.9]}, 'a field of view of 180 degrees'),
    'one of two': ({'focal_length': [1000, 18]}, 'a field of view of 176 degrees'),
    'micrometres': ({'focal_length': 2.5e6}, r'a field of view of 0.0\d+ degrees'),
    'fractions': ({'center': [0.5, 0.5]}, r'principal point at \(0.5, 0.5\) of an image of 1920x1080'),
    'normalised': ({'center': [0.01, -0.03]}, r'principal point at \(0.01, -0.03\)'),
    'micrometres of the centre': ({'center': [17800, 9600]}, r'principal point at \(17800, 9600\)'),
}


@pytest.mark.parametrize('case', IMPOSSIBLE)
def test_a_field_of_view_and_a_principal_point_that_no_camera_has_are_refused(tmp_path, case):
    change, sentence = IMPOSSIBLE[case]
    write(tmp_path, moved(), {**PLAIN, **change})
    with pytest.raises(UserError, match=sentence) as caught:
        loading.load_dataset('own', str(tmp_path))
    assert 'data_3d_own.npz' in str(caught.value) and 'must be in pixels' in str(caught.value)


@pytest.mark.parametrize('change, warned', [({'center': [18, 12]}, True), ({'center': [960, 540]}, False),
                                            ({'focal_length': 30000}, False)])
def test_an_odd_principal_point_is_warned_of(tmp_path, capsys, change, warned):
    write(tmp_path, moved(), {**PLAIN, **change})
    loading.load_dataset('own', str(tmp_path))
    assert ('only a crop has it so far from the middle' in capsys.readouterr().err) == warned


CROPS = [(700, -300), (640, 1100)]  # width of a crop, and where the principal point is in it


@pytest.mark.parametrize('width, center', CROPS)
def test_a_mirrored_pose_is_what_the_camera_sees_of_the_mirrored_body(tmp_path, width, center):
    """About the principal point: the mirror image of the scene, projected by the same camera."""
    camera = {**PLAIN, 'width': width, 'height': 1000, 'center': [center, 480]}
    poses = Data(write(tmp_path, moved(x=(width / 2 - center) / 1000 * 4), camera)).test()
    mirror = Mirror(h36m.skeleton(), CPU)
    scene = (poses.positions + poses.roots[:, None])[:, mirror.order] * torch.tensor([-1.0, 1, 1])
    expected = project(scene.double().numpy(), poses.cameras[0])
    np.testing.assert_allclose(mirror(poses.keypoints, poses.centers()), expected, atol=1e-5)
    torch.manual_seed(0)
    batch = torch.arange(len(poses))
    keypoints, positions = AugmentedSamples(poses, h36m.skeleton(), Recipe(1, 1, flip=True))(batch)
    turned = (positions != poses.positions).any(2).any(1)
    assert 0.3 < turned.float().mean() < 0.7
    np.testing.assert_allclose(keypoints[turned], expected[turned], atol=1e-5)


class FromTheMiddle(torch.nn.Module):
    """Answers x of the 2D, measured from the principal point, as every coordinate of the joint but the root's."""

    def __init__(self, center):
        super().__init__()
        self.center = center

    def forward(self, keypoints):
        answer = torch.zeros(*keypoints.shape[:2], 3)
        answer[..., 0] = keypoints[..., 0] - self.center
        return answer


@pytest.mark.parametrize('width, center', CROPS)
def test_an_evaluation_with_the_mirror_image_mirrors_about_the_principal_point(tmp_path, width, center):
    """A network that is right for mirrored poses alike is not changed by the mean with the mirror image."""
    camera = {**PLAIN, 'width': width, 'height': 1000, 'center': [center, 480]}
    poses = Data(write(tmp_path, moved(x=(width / 2 - center) / 1000 * 4), camera)).test()
    network = FromTheMiddle(poses.cameras[0].center[0])
    plain, both = (evaluate(network, poses, EvaluationOptions(mirror=mirror, keep_predictions=True)).predictions
                   for mirror in (None, Mirror(h36m.skeleton(), CPU)))
    torch.testing.assert_close(both, plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize('center, warned', [(-300, True), (1500, True), (380, False), (350, False)])
def test_mirror_images_outside_of_the_image_are_warned_of(tmp_path, capsys, center, warned):
    camera = {**PLAIN, 'width': 700, 'height': 1000, 'center': [center, 480]}
    poses = Data(write(tmp_path, moved(x=(350 - center) / 1000 * 4), camera)).test()
    capsys.readouterr()
    warn_of_mirror_images(poses)
    assert ('the mirror images of 100% of the poses lie outside of the image' in capsys.readouterr().err) == warned
