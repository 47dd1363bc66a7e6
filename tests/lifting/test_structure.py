"""The structural reader: files of many tools, tables as people have them, and structures that are no detector's."""

import json

import h5py
import numpy as np
import pytest

from common.errors import UserError
from common.geometry.detector_layouts import COCO_17
from common.lifting.detections import read_detections
from common.lifting.formats.words import image_size
from tests.helpers.layouts import spread
from tests.helpers.make_detections import demo_walking
from tests.helpers.make_structures import FRAMES, structures


@pytest.mark.parametrize('name', structures())
def test_what_tools_and_people_write_comes_back_to_its_pixels(tmp_path, capsys, name):
    structure = structures()[name]
    found = read_detections(str(structure.write(tmp_path)))
    assert len(found.people) == FRAMES and not found.photos
    assert {len(everybody) for everybody in found.people.values()} == {structure.people}
    first = np.stack([everybody[0].keypoints for everybody in found.people.values()])
    if name == 'PoseTrack17':  # its joints are named, and stand in the order of a layout that has them
        first = first[:, [0, *range(5, 17)]]
    np.testing.assert_allclose(first, structure.points, atol=1e-3)
    assert f'{FRAMES} frames, ' in capsys.readouterr().out


@pytest.fixture
def joints():
    return spread(demo_walking(2)[:8], 'coco17').round(2)


def table(joints, head, sign=',', row=lambda index, points: points.ravel().tolist()):
    return '\n'.join([*([sign.join(head)] if head else []), *(sign.join(map(str, row(index, points)))
                                                              for index, points in enumerate(joints))]) + '\n'


def names(form):
    return [form.format(name=name, axis=axis, camel=name.title().replace('_', ''), number=number, AXIS=axis.upper())
            for number, name in enumerate(COCO_17) for axis in 'xy']


@pytest.mark.parametrize('form', ['{name}_{axis}', '{axis}_{name}', '{name}.{axis}', '{axis}_{number}',
    '{axis}{number}',
                                  '{number}_{axis}', '{camel}{AXIS}', '{camel} ({axis})', '{name} {axis} (px)',
                                  '{name}_{axis}_px', 'Landmark_{number}_{axis}', '{AXIS}_{camel}'])
def test_columns_are_found_by_many_names(tmp_path, joints, form):
    (tmp_path / 'k.csv').write_text(table(joints, names(form)))
    found = read_detections(str(tmp_path / 'k.csv'))
    assert len(found.people) == len(joints) and found.joined
    np.testing.assert_allclose(found.keypoints(), joints)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'latin-1'])
@pytest.mark.parametrize('sign', [';', '\t', ','])
def test_signs_and_encodings(tmp_path, joints, encoding, sign):
    text = table(joints, ['Größe', *names('{name}_{axis}')], sign, lambda index, points: [7, *points.ravel().tolist()])
    text = text if sign == ',' else text.replace('.', ',')
    (tmp_path / 'k.csv').write_bytes(text.encode(encoding))
    np.testing.assert_allclose(read_detections(str(tmp_path / 'k.csv')).keypoints(), joints)


def test_people_side_by_side_times_cells_and_further_columns(tmp_path, joints, capsys):
    for form in ('person{0}_{1}', 'P{0} {1}', '{1}_{0}', '{2}_{1}'):
        head = [form.format(who, name.replace('_x', ''), 'AB'[who]) + '_x' if name.endswith('_x') else
                form.format(who, name[:-2], 'AB'[who]) + '_y' for who in range(2) for name in names('{name}_{axis}')]
        (tmp_path / 'k.csv').write_text(table(joints, head, row=lambda index, points: [
            *points.ravel().tolist(), *(points + 400).ravel().tolist()]))
        found = read_detections(str(tmp_path / 'k.csv'))
        assert [len(everybody) for everybody in found.people.values()] == [2] * len(joints), form
        np.testing.assert_allclose(found.people[3][1].keypoints, joints[3] + 400)
        assert len({who.track for who in found.people[0]}) == 2
    for head, step, rate in (('time', 0.02, 50), ('timestamp_ms', 40, 25), ('t', 1 / 60, 60)):
        (tmp_path / 'k.csv').write_text(table(joints, [head, *names('{name}_{axis}'), 'speed'],
                                              row=lambda index, points, step=step: [
            round(index * step, 4), *points.ravel().tolist(), 3]))
        capsys.readouterr()
        found = read_detections(str(tmp_path / 'k.csv'))
        assert found.fps == pytest.approx(rate, rel=0.01) and list(found.people) == list(range(len(joints)))
        assert 'columns not used: speed' in capsys.readouterr().out
    (tmp_path / 'k.csv').write_text(table(joints, list(COCO_17), row=lambda index, points: [
        f'"({x}, {y})"' for x, y in points.tolist()]))
    np.testing.assert_allclose(read_detections(str(tmp_path / 'k.csv')).keypoints(), joints)


@pytest.mark.parametrize('before', [0, 1])
def test_without_a_header_a_row_is_a_frame(tmp_path, joints, before, capsys):
    (tmp_path / 'k.csv').write_text(table(joints, [], row=lambda index, points: [
        *[index + 5][:before], *points.ravel().tolist()]))
    found = read_detections(str(tmp_path / 'k.csv'))
    np.testing.assert_allclose(found.keypoints(), joints)
    assert min(found.people) == 5 * before and 'no header' in capsys.readouterr().out


def deep(levels):
    return '[' * levels + ']' * levels


@pytest.mark.parametrize('text, sentence', [
    (deep(900), 'holds no person|nested too deep'), (deep(200_000), 'nested too deep'),
    ('{"a":' * 300 + '1' + '}' * 300, 'no joints|nested too deep'),
    ('[[' + '[' * 60 + '[1,2,3]' + ']' * 60 + ']]', 'no joints|nested too deep'),
    (json.dumps({'keypoints': [[1, 2]] * 19}), 'never'),
])
def test_deep_and_odd_structures_get_one_sentence_or_are_read(tmp_path, text, sentence):
    (tmp_path / 'k.json').write_text(text)
    if sentence == 'never':
        assert read_detections(str(tmp_path / 'k.json')).joints == 19
        return
    with pytest.raises(UserError, match=sentence):
        read_detections(str(tmp_path / 'k.json'))


def test_hdf5_follows_no_links_and_believes_no_shape(tmp_path, joints):
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['keypoints'] = joints
    for name, make in (('link', lambda file: file.__setitem__('keypoints',
        h5py.ExternalLink('other.h5', '/keypoints'))),
                       ('lie', lambda file: file.create_dataset('keypoints', (10**7, 17, 2), 'f8',
                       chunks=(1000, 17, 2)))):
        with h5py.File(tmp_path / f'{name}.h5', 'w') as file:
            make(file)
        with pytest.raises(UserError, match=r'no joints|no person|claims 2,720,000,000 bytes'):
            read_detections(str(tmp_path / f'{name}.h5'))
    assert read_detections(str(tmp_path / 'other.h5')).joints == 17


@pytest.mark.parametrize('side', [float('inf'), 10 ** 400, -5])
def test_a_size_that_no_image_has_is_refused(side):
    with pytest.raises(ValueError, match='its image size is'):
        image_size(side, 1080)
