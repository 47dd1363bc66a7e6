"""The page that `viz.py` makes: it needs no network, is safe to open, and moves and turns in a real browser."""

import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageColor

from common.rendering import animation
from common.rendering.video import VideoFrames
from common.rendering.visualization import LEFT, RIGHT
from tests.helpers.chromium import PROGRAM, Page
from tests.helpers.make_clips import LWRIST, STEP, frames_of_page, make_clip, write_video

pytest.importorskip('plotly')


def write(clip, path, video=None):
    animation.render(clip, str(path), 3, video=video)
    return path.read_text(encoding='utf-8')


def test_what_the_page_holds(tmp_path):
    clip = make_clip(people=2)
    clip.keypoints[1, 3] = np.nan
    clip.views[0].positions[1, 3] = np.nan
    clip.views[0].errors[3] = np.nan
    text = write(clip, tmp_path / 'a.html')
    frames = frames_of_page(text)
    assert len(frames) == 6
    np.testing.assert_allclose(np.reshape(frames[2]['keypoints'], (2, 16, 2)), clip.keypoints[:, 2], atol=0.051)
    for view, positions in zip(clip.views, frames[2]['views'], strict=True):
        np.testing.assert_allclose(np.reshape(positions, (2, 16, 3)), view.positions[:, 2] * 1000, atol=0.51)
    assert frames[3]['views'][0][48:] == [None] * 48 and frames[3]['errors'] == [None, None]
    assert not re.search(r'\$[A-Z]', re.sub(r'<script>.*?</script>', '', text, count=1, flags=re.DOTALL))
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="?(http|//)', text)


def test_a_caption_cannot_run_as_code(tmp_path):
    text = write(dataclasses.replace(make_clip(), caption='</script><script>alert(1)//'), tmp_path / 'a.html')
    assert '<script>alert' not in text


@pytest.fixture
def browse(tmp_path):
    """Open a page in Chromium."""
    if PROGRAM is None:
        pytest.skip('Chromium is not installed (apt-get install chromium)')
    pages = []

    def browse(path):
        pages.append(Page(path.as_uri(), tmp_path / 'profile'))
        pages[-1].wait_for('document.querySelectorAll(".plot canvas").length >= 2')
        return pages[-1]

    yield browse
    for page in pages:
        page.close()


def test_in_a_browser(tmp_path, browse):
    """One visit, as starting Chromium takes long: load, slide, play, turn while it plays, look."""
    clip, path = make_clip(frames=30), tmp_path / 'a.html'
    write_video(tmp_path / 'v.mkv', 30, 25, (160, 120))
    write(clip, path, VideoFrames(str(tmp_path / 'v.mkv'), 25))
    page = browse(path)

    place = [child for _, child in clip.skeleton.bones if child in clip.skeleton.left].index(LWRIST) * 3 + 1
    trace = 2 + page.value(f'clip.colors.indexOf("{LEFT}")')
    wrist = f'plots.map(({{plot}}) => ["x", "y", "z"].map(axis => plot.data[{trace}][axis][{place}]))'
    for frame in (0, 29):
        page.value(f'slider.value = {frame}; slider.dispatchEvent(new Event("input")); 0')
        np.testing.assert_allclose(page.value(wrist), [view.positions[0, frame, LWRIST] for view in clip.views],
                                   atol=0.00051)
    assert page.value('plots[0].note.textContent') == 'MPJPE 20.0 mm'
    assert '1.16 s' in page.value('document.body.textContent')

    eyes = 'plots.map(({plot}) => Object.values(plot._fullLayout.scene._scene.getCamera().eye))'
    before = page.value(eyes)
    page.value('play.click(); 0')
    box = page.value('(r => [r.x, r.y, r.width, r.height])(plots[0].plot.getBoundingClientRect())')
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    page.mouse('mouseMoved', x, y)
    page.mouse('mousePressed', x, y, 1)
    for step in range(1, 7):
        page.mouse('mouseMoved', x + 10 * step, y, 1)
    page.mouse('mouseReleased', x + 60, y)
    shown = page.value('current')
    page.wait_for(f'current !== {shown}')
    page.wait_for(f'JSON.stringify({eyes}) !== {json.dumps(json.dumps(before))}')
    page.value('play.click(); 0')
    after = page.value(eyes)
    turned = [np.degrees(np.arctan2(eye[1], eye[0])) for eye in (*before, *after)]
    np.testing.assert_allclose(np.mod(np.subtract(turned[:2], turned[2:]), 360), 30, atol=1)  # half a degree a pixel

    pictures = []
    for frame in (3, 20):
        page.value(f'slider.value = {frame}; slider.dispatchEvent(new Event("input")); 0')
        page.wait_for(f'pictures[{frame}].complete')
        pictures.append(np.asarray(Image.open(io.BytesIO(page.screenshot())).convert('RGB')).astype(int))
    picture = pictures[1]
    differs = (np.abs(pictures[0] - picture).max(2) > 40)[:, :960]
    assert all(panel.sum() > 100 for panel in np.array_split(differs, 3, axis=1))  # the input and both views move
    for color in (LEFT, RIGHT):
        near = np.abs(picture - ImageColor.getrgb(color)).max(2) < 40
        assert all(panel.sum() > 100 for panel in np.array_split(near[:, :960], 3, axis=1))
    corner = page.value('[...canvas.getContext("2d").getImageData(3, 3, 1, 1).data]')
    np.testing.assert_allclose(corner[:3], 20 * STEP, atol=3)
    assert page.requests == [] and page.complaints == []
