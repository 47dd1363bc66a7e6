"""Flags of the training scripts: what they change, what a resume takes from the file, and wrong ones."""

import os
import re
import sys

import pytest
import torch

import main_gcn
import main_linear
from common.checkpoint import load_checkpoint
from common.files import npz
from models.config import ModelConfig
from tests.conftest import moving_people
from tests.helpers.make_checkpoints import SMALL as SMALL_GCN
from tests.helpers.make_checkpoints import checkpoint_of, trained
from tests.helpers.runs import GCN, SMALL, assert_same_run, run_folder, train


def test_resume_takes_flags_from_the_file_and_names_those_that_change(workplace, script):
    train(script, *GCN, '-e', '1', '--lr', '2e-3', '-a', 'Walking')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, '-r', path, '-e', '2', '--lr_gamma', '0.5', '--device', 'cpu')
    assert status == 0 and '--lr_gamma 0.5 takes the place of 0.96' in err and '--lr ' not in err
    recipe = load_checkpoint(path).recipe
    assert (recipe['lr'], recipe['lr_gamma'], recipe['actions'], recipe['batch_size']) == (2e-3, 0.5, ['Walking'], 32)


def test_actions_and_downsample_choose_the_poses(workplace, script):
    out = train(script, *GCN, '-e', '1', '-a', 'Walking', '--downsample', '5')
    assert re.search(r'Walking +24 ', out) and 'Eating' not in out
    assert '48 poses to train, 24 to test' in out


def test_tensorboard_missing_is_a_sentence(workplace, script, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    status, _, err = script(main_gcn.main, *GCN, '--tensorboard')
    assert status == 2 and 'pip install tensorboard' in err


@pytest.fixture
def saved(workplace):
    """Checkpoints of both networks."""
    for name, config in (('gcn', SMALL_GCN), ('linear', ModelConfig('linear', hid_dim=8, num_layers=1))):
        checkpoint_of(*trained(config), config).save(f'{name}.pth.tar')
    return {name: f'{name}.pth.tar' for name in ('gcn', 'linear')}


def test_evaluation_leaves_no_trace_and_needs_no_training_subjects(saved, workplace, script):
    npz.write_npz('data/data_3d_test.npz', positions_3d=moving_people(subjects=('S9', 'S11')))
    before = sorted(os.walk(workplace))
    train(script, '-d', 'test', '--evaluate', saved['gcn'])
    assert sorted(os.walk(workplace)) == before


def test_wrong_inputs_get_one_sentence_and_status_2(saved, workplace, script):
    (workplace / 'text.pth.tar').write_text('this is not a checkpoint')
    torch.save({'weights': 1}, workplace / 'other.pth.tar')
    npz.write_npz('data/data_3d_empty.npz', positions_3d=moving_people(frames=0))
    gcn, linear = saved['gcn'], saved['linear']
    for main, arguments, words in [
        (main_gcn.main, ['-d', 'h36m'], ['data_3d_h36m.npz', 'data/README.md', '--dataset demo']),
        (main_gcn.main, ['-d', 'tiny', '-k', 'cpn'], ['data_2d_tiny_cpn.npz', 'gt']),
        (main_gcn.main, ['-d', 'tiny', '-a', 'Walking,Flying'], ['Flying', 'Eating, Walking']),
        (main_gcn.main, ['-d', 'tiny', '-a', ','], ['--actions']),
        (main_gcn.main, ['-d', 'empty'], ['S1 Walking is empty']),
        (main_gcn.main, ['-d', '../x'], ['not a name']),
        (main_gcn.main, ['--evaluate', 'no.pth.tar', '-d', 'tiny'], ['no.pth.tar is missing']),
        (main_gcn.main, ['--evaluate', 'text.pth.tar', '-d', 'tiny'], ['text.pth.tar is not a readable checkpoint']),
        (main_gcn.main, ['--evaluate', 'other.pth.tar', '-d', 'tiny'], ['other.pth.tar is not a checkpoint']),
        (main_gcn.main, ['--evaluate', '.', '-d', 'tiny'], ['directory']),
        (main_gcn.main, ['--evaluate', linear, '-d', 'tiny'], [linear, 'linear model', 'main_linear.py']),
        (main_linear.main, ['--evaluate', gcn, '-d', 'tiny'], [gcn, 'SemGCN', 'main_gcn.py']),
        (main_gcn.main, ['--evaluate', gcn, '-d', 'tiny', '-z', '64'], ['--hid_dim 64', gcn, 'hid_dim 8']),
        (main_gcn.main, ['--evaluate', gcn, '-d', 'tiny', '--non_local'], ['--non_local', gcn, 'non_local False']),
        (main_gcn.main, ['--resume', gcn, '-d', 'tiny', '-l', '4'], ['--num_layers 4', gcn, 'num_layers 1']),
        (main_gcn.main, ['--resume', gcn, '--evaluate', gcn, '-d', 'tiny'], ['do not go together']),
        (main_gcn.main, ['-d', 'tiny', '--device', 'cuda:7'], ['cuda:7', 'GPU']),
        (main_gcn.main, ['-d', 'tiny', '--device', 'tpu'], ['tpu']),
        (main_gcn.main, ['-d', 'tiny', '-z', '9', '--non_local'], ['odd']),
        (main_gcn.main, ['-d', 'tiny', '-c', 'text.pth.tar'], ['text.pth.tar']),
        (main_gcn.main, [*GCN, '-e', '1', '--report', 'text.pth.tar/r.json'], ['text.pth.tar']),
        (main_gcn.main, ['-d', 'tiny', '-e', '0'], ['not at least 1']),
        (main_gcn.main, ['-d', 'tiny', '--by', 'joint'], ['--by is for --evaluate']),
        (main_gcn.main, ['-d', 'tiny', '--predictions', 'p.npz'], ['--predictions is for --evaluate']),
        (main_gcn.main, ['-d', 'tiny', '--lr', 'nan'], ['not a positive number']),
        (main_gcn.main, ['-d', 'tiny', '--dropout', '1'], ['[0, 1)']),
    ]:
        status, out, err = script(main, *arguments)
        assert status == 2, (arguments, out, err)
        assert all(word in err for word in words), (arguments, err)
        assert 'Traceback' not in err and len(err.strip().splitlines()[-1]) > 20


def test_one_pose_cannot_train(workplace, script, monkeypatch):
    from common.datasets import h36m
    one_camera = {subject: rig[:1] for subject, rig in h36m.cameras().items()}
    monkeypatch.setattr(h36m, 'cameras', lambda: one_camera)
    npz.write_npz('data/data_3d_one.npz', positions_3d=moving_people(('S1', 'S9'), ('Eating',), frames=1))
    status, _, err = script(main_linear.main, '-d', 'one', '--device', 'cpu')
    assert status == 2 and 'a single pose cannot train' in err


def test_flags_that_change_numbers_change_them_a_little(workplace, script):
    errors = []
    for number, (flags, change) in enumerate((([], 0.0), (['--amp', 'bf16'], 0.05),
                                              (['--tta', 'flip'], 0.5), (['--ema', '0.5'], 0.5))):
        train(script, *GCN, '--non_local', '-e', '2', '-c', str(number), *flags)
        errors.append(load_checkpoint(f'{run_folder(str(number))}/ckpt_last.pth.tar').error)
        assert abs(errors[-1] / errors[0] - 1) <= change and (errors[-1] != errors[0]) == bool(change), flags


@pytest.mark.parametrize('main, network', [(main_gcn.main, ['-z', '8', '-l', '1']), (main_linear.main, [])])
def test_the_loss_of_the_paper_and_weights_of_joints_train_and_resume(workplace, script, main, network):
    flags = ['--loss', 'joints_bones', '--joint_weights', 'LWrist=2,RWrist=2']
    train(script, *SMALL, *network, *flags, '-e', '2', '-c', 'whole', main=main)
    train(script, *SMALL, *network, *flags, '-e', '1', '-c', 'halves', main=main)
    train(script, '-r', f'{run_folder("halves")}/ckpt_last.pth.tar', '-e', '2', '--device', 'cpu', main=main)
    assert_same_run(run_folder('whole'), run_folder('halves'))
    status, _, err = script(main, *SMALL, *network, '--joint_weights', 'Wrist=2')
    assert status == 2 and '--joint_weights Wrist=2' in err


def test_compile_is_what_trains(workplace, script, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda network: (compiled.append(network), network)[1])
    train(script, *GCN, '-e', '1', '--compile')
    assert len(compiled) == 1


def test_the_tuned_recipe_sets_flags_that_were_not_typed(workplace, script):
    from common.training.recipe import RECIPES
    train(script, *GCN, '-e', '1', '--recipe', 'tuned', '--lr', '0.005')
    checkpoint = load_checkpoint(f'{run_folder()}/ckpt_last.pth.tar')
    assert checkpoint.recipe['lr'] == 0.005
    tuned = RECIPES['tuned']['gcn']
    used = {**checkpoint.recipe, 'unit': checkpoint.config.unit}
    assert tuned and all(used[name] == value for name, value in tuned.items() if name != 'lr')


@pytest.mark.parametrize('flags, poses, resumed', [
    (['--train_subjects', 'S1', '--test_subjects', 'S5'], '144 poses to train, 144 to test', 288),
    (['--train_subjects', 'S1,S5,S9', '--val_subjects', 'S9'], '288 poses to train, 144 to validate', 144),
])
def test_subjects_are_chosen_on_the_command_line_and_kept_in_the_file(workplace, script, flags, poses, resumed):
    assert poses in train(script, *GCN, '-e', '1', *flags)
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, out, err = script(main_gcn.main, '-r', path, '-e', '2', '--device', 'cpu', '--train_subjects', 'S1,S9')
    assert status == 0 and f'{resumed} poses to train' in out and '--train_subjects S1,S9 takes the place of' in err


def test_subjects_that_are_trained_and_tested_on_get_a_warning(workplace, script):
    status, _, err = script(main_gcn.main, *GCN, '-e', '1', '--test_subjects', 'S5,S9')
    assert status == 0 and 'Warning: S5' in err


@pytest.mark.parametrize('main, status', [(main_linear.main, 2), (main_gcn.main, 0)])
def test_batches_of_one_pose(workplace, script, main, status):
    """SemGCN normalises over joints too."""
    found, _, err = script(main, '-d', 'tiny', '--device', 'cpu', '-b', '1', '-e', '1', '--downsample', '6')
    assert found == status and ('two poses' in err) == (status == 2)


@pytest.mark.parametrize('main, network', [
    (main_gcn.main, ['-z', '8', '-l', '1', '--ema', '0.5']), (main_linear.main, []),
])
def test_init_starts_a_new_run_from_the_weights_of_another(workplace, script, main, network):
    train(script, *SMALL, *network, '-e', '2', '-c', 'first', main=main)
    path = f'{run_folder("first")}/ckpt_last.pth.tar'
    first = load_checkpoint(path)
    status, out, err = script(main, *SMALL, '--init', path, '-e', '1', '--lr', '1e-12', '--bn_momentum', '1e-12')
    assert status == 0 and 'start at random' not in err and 'epoch 1/1' in out
    second = load_checkpoint(f'{run_folder()}/ckpt_last.pth.tar')
    assert second.config == first.config and (second.epoch, second.step) == (1, 9)
    weights = first.average['state_dict'] if first.average else first.state_dict
    for name, value in second.state_dict.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, weights[name], rtol=1e-5, atol=1e-6)


def test_init_names_what_does_not_fit(workplace, script):
    train(script, *GCN, '-e', '1', '-c', 'first')
    path = f'{run_folder("first")}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, *SMALL, '--init', path, '-l', '2', '-e', '1')
    assert status == 0 and 'start at random: gconv_layers.1.' in err
    for other in (['--resume', path], ['--evaluate', path]):
        status, _, err = script(main_gcn.main, *SMALL, '--init', path, *other)
        assert status == 2 and 'do not go together' in err
    status, _, err = script(main_linear.main, *SMALL, '--init', path)
    assert status == 2 and 'use main_gcn.py' in err


def test_a_resume_on_other_test_data_chooses_the_best_epoch_again(workplace, script):
    """The errors of other subjects, keypoints or actions do not compare with these."""
    for change in (['--test_subjects', 'S5'], ['-a', 'Walking'], ['--tta', 'flip'], ['--downsample', '2']):
        train(script, *GCN, '-e', '1', '-c', change[-1])
        path = f'{run_folder(change[-1])}/ckpt_last.pth.tar'
        checkpoint = load_checkpoint(path)
        checkpoint.best_error = 1e-3
        checkpoint.save(path)
        status, out, err = script(main_gcn.main, '-r', path, '-e', '2', '--device', 'cpu', *change)
        assert status == 0 and 'best so far' in out and 'errors of other test data' in err
        assert load_checkpoint(path.replace('last', 'best')).epoch == 2


def test_a_longer_run_says_how_its_rate_goes_on(workplace, script):
    train(script, *GCN, '-e', '2', '--schedule', 'cosine')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, '-r', path, '-e', '4', '--device', 'cpu', '-c', 'elsewhere')
    assert status == 0 and '--epochs 4 stretches the cosine schedule' in err
    assert f'goes on in its folder {run_folder()}: --checkpoint elsewhere is not used' in err
    assert not os.path.exists('elsewhere')
    status, _, err = script(main_gcn.main, '-r', path, '--device', 'cpu')
    assert status == 0 and 'stretches' not in err


def test_an_evaluation_on_training_subjects_gets_the_warning_that_training_gives(workplace, script):
    train(script, *GCN, '-e', '1', '--train_subjects', 'S1,S9', '--test_subjects', 'S5')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, '-d', 'tiny', '--evaluate', path, '--device', 'cpu')
    assert status == 0 and 'was trained on the test subjects S9' in err
    status, _, err = script(main_gcn.main, '-d', 'tiny', '--evaluate', path, '--device', 'cpu', '--test_subjects', 'S5')
    assert status == 0 and 'was trained on the test subjects' not in err


def test_a_checkpoint_of_an_earlier_version_with_flags_that_are_gone_resumes(workplace, script):
    train(script, *GCN, '-e', '1')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    checkpoint = load_checkpoint(path)
    checkpoint.recipe.update(tf32=False, cuda_graph=True)
    checkpoint.save(path)
    train(script, '-r', path, '-e', '2', '--device', 'cpu')
