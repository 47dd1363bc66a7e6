"""Drawing clips: every joint at its pixel, in its colour, in views that stand still."""

import dataclasses

import numpy as np
import pytest
from PIL import ImageColor

from common.rendering import perspective
from common.rendering.clip import View, stand
from common.rendering.visualization import LEFT, MIDDLE, RIGHT, SHADE, Scene
from tests.helpers.make_clips import HEAD, LWRIST, RFOOT, STANDING, color_near, make_clip


class TestScene:
    def test_a_joint_is_where_it_should_be(self):
        clip = make_clip()
        scene = Scene(clip, 3)
        for frame in (0, 5):
            picture = scene.draw(frame)
            for joint, color in ((LWRIST, LEFT), (RFOOT, RIGHT), (HEAD, MIDDLE)):
                assert ImageColor.getrgb(color) in color_near(picture, scene.crop(clip.keypoints[0, frame, joint]))
                for view, projection in zip(clip.views, scene.projections, strict=True):
                    place = projection(view.positions[0, frame, joint])[0]
                    assert ImageColor.getrgb(color) in color_near(picture, place)

    def test_left_and_right_up_and_down(self):
        """From azimuth 90, the left hand of a person who faces the viewer is on the right of the picture."""
        clip = dataclasses.replace(make_clip(frames=1), azimuth=90)
        (projection, _) = Scene(clip, 3).projections
        places, nearness = projection(STANDING)
        assert places[LWRIST, 0] < places[HEAD, 0] < places[15, 0]  # x is to the left for both
        assert places[HEAD, 1] < places[0, 1] < places[RFOOT, 1]
        assert projection(np.array([0, 1.0, 0]))[1] > projection(np.array([0, -1.0, 0]))[1]
        assert nearness.shape == (16,)

    def test_the_view_is_that_of_matplotlib(self):
        """The directions agree with mplot3d's `view_init(elev=15, azim=...)`, whose perspective differs."""
        from matplotlib.figure import Figure
        from mpl_toolkits.mplot3d import proj3d
        axes = Figure().add_subplot(projection='3d')
        axes.view_init(elev=15, azim=-70)
        axes.set_proj_type('ortho')
        axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
        axes.set_box_aspect((1, 1, 1))
        points = np.eye(3) * 0.1
        theirs = np.stack(proj3d.proj_transform(*points.T, axes.get_proj())[:2], axis=1)
        theirs -= np.array(proj3d.proj_transform(0, 0, 0, axes.get_proj())[:2])
        view = Scene(dataclasses.replace(make_clip(), azimuth=-70), 2).projections[0].perspective
        ours = points @ view.axes[:2].T
        np.testing.assert_allclose(theirs / np.abs(theirs).max(), ours / np.abs(ours).max(), atol=1e-6)

    def test_limits_do_not_jump_and_scales_are_equal(self):
        clip = make_clip()
        scene = Scene(clip, 3)
        first, last = (np.asarray(scene.draw(frame)) for frame in (0, 5))
        box = scene.boxes[1]
        corner = slice(box.top, box.top + 20), slice(box.left, box.left + 20)
        assert (first[corner] == last[corner]).all() and (first != last).any()
        assert np.ptp(abs(scene.projections[0].scale)) == 0
        assert np.ptp(scene.crop.scale) == 0
        for view, projection in zip(clip.views, scene.projections, strict=True):
            places = projection(view.positions)[0].reshape(-1, 2)
            assert (places > (0, box.top)).all() and (places < (scene.width, scene.height)).all()

    def test_the_floor_and_all_people_are_visible_and_no_more(self):
        for reach in (0.004, 0.1, 0.9, 3.0):
            people = np.random.default_rng(0).uniform(-reach, reach, (50, 3)) + (0, 0, reach)
            view = perspective.Perspective([people[:20], people[20:]], 70)
            floor = np.append(view.floor, 0) * np.array([(x, y, 0) for x in (-1, 1) for y in (-1, 1)])
            projected = view(np.concatenate([people, floor]))[0]
            np.testing.assert_allclose([view.lowest, view.highest], [projected.min(0), projected.max(0)])
            tiles = view.floor / view.tile
            np.testing.assert_allclose(tiles, tiles.round())
            assert (view.floor >= np.abs(people[:, :2]).max(0)).all() and (view.floor <= 2.5 * reach).all()

    def test_long_clips_are_projected_in_parts(self, monkeypatch):
        clip = make_clip()
        clip.keypoints[0, 0], clip.views[0].positions[0, 1, :3] = np.nan, np.nan
        whole = Scene(clip, 3)
        monkeypatch.setattr(perspective, '_PART', 5)
        parts = Scene(clip, 3)
        np.testing.assert_array_equal([parts.crop.scale, parts.crop.offset],
                                      [whole.crop.scale, whole.crop.offset])
        for one, other in zip(parts.projections, whole.projections, strict=True):
            np.testing.assert_allclose([one.scale, one.offset], [other.scale, other.offset], rtol=1e-12)

    @pytest.mark.parametrize('size', [1, 1.37, 3])
    def test_sizes_are_even_and_panels_square(self, size):
        scene = Scene(make_clip(), size)
        assert scene.width % 2 == scene.height % 2 == 0
        assert scene.draw(0).size == (scene.width, scene.height)
        assert all(box.width == box.height == round(100 * size) for box in scene.boxes)

    def test_no_text_runs_into_the_next_panel(self):
        scene = Scene(dataclasses.replace(make_clip(), caption='S11 SittingDown 1, camera 3', start=100.0), 2)
        scene.draw(0)
        renderer = scene.canvas.get_renderer()
        for box, note in zip(scene.boxes, scene.notes, strict=True):
            extent = note.get_window_extent(renderer)
            assert extent.x1 <= box.right and scene.height - extent.y0 <= box.top

    def test_missing_joints_and_people_are_left_out(self):
        clip = make_clip(people=2)
        for array in (clip.keypoints, *(view.positions for view in clip.views)):
            array[1, 2:] = np.nan
            array[0, 3, LWRIST] = np.nan
        clip.views[0].errors[3] = np.nan
        scene = Scene(clip, 3)
        assert ImageColor.getrgb(LEFT) in color_near(scene.draw(0), scene.crop(clip.keypoints[1, 0, LWRIST]))
        picture = scene.draw(3)
        assert scene.notes[1].get_text() == ''
        assert ImageColor.getrgb(LEFT) not in color_near(picture, scene.crop(make_clip().keypoints[0, 3, LWRIST]))
        assert ImageColor.getrgb(RIGHT) in color_near(picture, scene.crop(clip.keypoints[0, 3, RFOOT]))

    def test_nobody_at_all(self):
        clip = make_clip()
        for array in (clip.keypoints, *(view.positions for view in clip.views)):
            array[:] = np.nan
        assert ImageColor.getrgb(SHADE) in color_near(Scene(clip, 2).draw(0), (50, 100))

    def test_without_a_3d_view(self):
        assert Scene(make_clip(views=0), 2).draw(0).width < 240

    def test_the_nearer_limb_is_drawn_over_the_farther(self):
        clip = make_clip(frames=1)
        positions = clip.views[0].positions
        positions[0, 0, [11, 12]] = [(-0.3, 0.3, 1.2), (-0.3, 0.3, 0.4)]    # left forearm before the right one
        positions[0, 0, [14, 15]] = [(-0.6, -0.3, 0.8), (0, -0.3, 0.8)]
        for azimuth, color in ((90, LEFT), (-90, RIGHT)):
            scene = Scene(dataclasses.replace(clip, azimuth=azimuth), 4)
            (a, b, c, d), _ = scene.projections[0](positions[0, 0, [11, 12, 14, 15]])
            part = np.linalg.solve(np.stack([b - a, c - d], axis=1), c - a)[0]
            assert color_near(scene.draw(0), a + part * (b - a), 0) == {ImageColor.getrgb(color)}

    def test_a_picture_lies_under_the_2d_input_at_its_place(self):
        clip = make_clip(image_size=(400, 200))
        scene = Scene(clip, 2, image=True)
        box = scene.image_box
        assert (box.width, box.height) == (400, 200)
        picture = np.zeros((200, 400, 3), np.uint8)
        picture[50:60, 100:110] = (10, 200, 30)
        drawn = np.asarray(scene.draw(0, picture))
        assert (drawn[box.top + 50:box.top + 60, box.left + 100:box.left + 110] == (10, 200, 30)).all()
        np.testing.assert_allclose(scene.crop(np.array([100.0, 50.0])), (box.left + 100, box.top + 50))


def test_clips_whose_arrays_do_not_fit():
    clip = make_clip()
    for wrong in ({'keypoints': clip.keypoints[:, :3]}, {'keypoints': clip.keypoints[..., :1]},
                  {'views': [View('a', clip.views[0].positions, np.zeros(3))]}):
        with pytest.raises(ValueError, match='must be'):
            dataclasses.replace(clip, **wrong)


def test_stand():
    poses = np.stack([STANDING, STANDING + (0, 0, 3), np.full((16, 3), np.nan)])
    poses[1, RFOOT] = np.nan
    standing = stand(poses)
    np.testing.assert_allclose(standing[0], STANDING)
    assert np.nanmin(standing[1, :, 2]) == 0 and np.isnan(standing[2]).all()
