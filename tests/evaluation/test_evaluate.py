"""Prediction and evaluation against answers known in closed form."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from common.datasets import h36m
from common.datasets.poses import Poses, PoseSequence
from common.errors import UserError
from common.evaluation.evaluate import EvaluationOptions, evaluate, in_mm, with_baseline
from common.evaluation.metrics import mpjpe, p_mpjpe
from common.geometry.camera import project
from common.geometry.mirror import Mirror
from common.inference import predict
from models.config import ModelConfig, build_model, default_config
from tests.helpers.known_poses import Shifting, known_poses


def test_prediction_is_relative_to_the_hip_and_does_not_depend_on_the_batch():
    data = known_poses(23)
    whole = predict(Shifting(0.7), data.keypoints)
    torch.testing.assert_close(whole, data.positions)
    assert torch.equal(predict(Shifting(0.7), data.keypoints, batch_size=5), whole)
    assert not whole[:, 0].any()


def test_errors_are_averaged_over_poses_then_over_actions():
    data = known_poses(6, kinds=[0, 0, 0, 0, 2, 2])
    offset = torch.tensor([1, 2, 3, 4, 10, 20.0]) / 1000
    data.positions[:, 1:, 0] += offset.view(-1, 1)  # 15 of 16 joints are off by so many mm
    evaluation = with_baseline(evaluate(Shifting(), data), data, torch.zeros(16, 3))
    (walking, posing), names = evaluation.by('action').values(), list(evaluation.by('action'))
    assert names == ['Walking', 'Posing'] and (walking['poses'], posing['poses']) == (4, 2)  # no line for Eating
    assert walking['mpjpe_mm'] == pytest.approx(2.5 * 15 / 16, rel=1e-4)
    assert posing['mpjpe_mm'] == pytest.approx(15 * 15 / 16, rel=1e-4)
    average, over_poses = evaluation.action_average, evaluation.mean()
    assert average['mpjpe_mm'] == pytest.approx((walking['mpjpe_mm'] + posing['mpjpe_mm']) / 2)
    assert over_poses['mpjpe_mm'] == pytest.approx((4 * walking['mpjpe_mm'] + 2 * posing['mpjpe_mm']) / 6)
    assert average['p_mpjpe_mm'] < average['mpjpe_mm']
    expected = data.positions[:4].norm(dim=2).mean().item() * 1000
    assert walking['mean_pose_mpjpe_mm'] == pytest.approx(expected, rel=1e-5)


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match='not finite'):
        evaluate(Shifting(float('inf')), known_poses(6))


def test_progress_is_reported_to_the_end():
    done = []
    predict(Shifting(), known_poses(12).keypoints, batch_size=5, report=done.append)
    assert done == [4, 8, 12]


@pytest.mark.parametrize('config', [ModelConfig('gcn'), ModelConfig('gcn', non_local=True),
                                    ModelConfig('gcn', conv='semch'), default_config('linear')])
def test_any_batch_size_gives_the_same_errors_to_a_ten_thousandth_of_a_millimetre(config):
    torch.manual_seed(0)
    model = build_model(config, h36m.skeleton())
    keypoints, target = torch.randn(300, 16, 2) * 0.3, torch.randn(300, 16, 3) * 0.3
    for _ in range(30):
        model(keypoints)  # running statistics unlike a fresh network's
    whole = predict(model, keypoints)
    for size in (1, 7, 64):
        errors = [torch.stack([metric(in_mm(found), in_mm(target)).mean() for metric in (mpjpe, p_mpjpe)])
                  for found in (whole, predict(model, keypoints, size))]
        assert (errors[0] - errors[1]).abs().max() < 1e-4
    mirror = Mirror(h36m.skeleton(), torch.device('cpu'))
    both = predict(model, keypoints, mirror=mirror)
    torch.testing.assert_close(both, (whole + mirror(predict(model, mirror(keypoints)))) / 2, rtol=0, atol=1e-6)
    torch.testing.assert_close(predict(model, mirror(keypoints), mirror=mirror), mirror(both), rtol=0, atol=1e-6)


def test_networks_that_see_the_person_are_scored_in_the_axes_of_the_camera():
    """The same motion before a camera that is turned: the same answer of the network, turned with the camera."""
    torch.manual_seed(0)
    count, camera = 5, h36m.cameras()['S9'][0]
    body = torch.randn(count, 16, 3) * 0.3
    body -= body[:, :1].clone()
    errors = []
    for angle in (0.0, 0.3, -0.5):
        turn = torch.tensor(Rotation.from_rotvec([0, angle, 0]).as_matrix(), dtype=torch.float32)
        positions, root = body @ turn.T, torch.tensor([0.0, 0.0, 5.0]) @ turn.T
        keypoints = torch.from_numpy(project((positions + root).numpy(), camera))
        poses = Poses(keypoints, positions, root.expand(count, 3), torch.zeros(count).long(), torch.zeros(count).long(),
                      kind_names=['Walking'], cameras=[camera],
                      sequences=[PoseSequence('S9', 'Walking', 'left', count, 1)]).as_person(1, 50)
        evaluation = evaluate(Constant(body[0]), poses, EvaluationOptions(keep_predictions=True))
        errors.append(evaluation.mean()['mpjpe_mm'])
        torch.testing.assert_close(evaluation.predictions[0], positions[0], rtol=0, atol=1e-5)
    assert errors[1] == pytest.approx(errors[0], rel=1e-5) and errors[2] == pytest.approx(errors[0], rel=1e-5)


class Constant(torch.nn.Module):
    """Answers one pose, whatever it sees."""

    def __init__(self, pose):
        super().__init__()
        self.pose = pose

    def forward(self, keypoints):
        return self.pose.expand(len(keypoints), -1, -1)
