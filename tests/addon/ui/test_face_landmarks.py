# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces found in a portrait and their landmarks: chosen, dragged, drawn, sent to the engine."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight.operators import state, watch
from limelight.scene import editors, face, face_lines, heads
from limelight.tests.addon.ui.portrait import landmarks, panel
from limelight.tests.addon.ui.stand_in import asked


def test_faces_are_found_chosen_and_asked_for(portrait, scene, draw):
    assert bpy.ops.limelight.face_find() == {"FINISHED"}
    assert len(portrait.limelight.faces) == 2 and face.chosen_index(portrait) == 0
    assert "Found 2 faces" in bpy.context.window_manager.limelight.message
    assert np.allclose(face.points(face.chosen(portrait)), landmarks())
    assert bpy.ops.limelight.face_choose(index=1) == {"FINISHED"}
    watch.refresh(bpy.context)
    drawn = panel(draw, "LIMELIGHT_PT_face_image", portrait)
    assert drawn.operators().count("limelight.face_choose") == 2
    bpy.ops.limelight.face_make()
    assert asked()["face"] == 1 and "landmarks" not in asked()
    bpy.ops.limelight.face_choose(index=0)
    bpy.ops.limelight.face_make()
    assert [head.limelight.head.face for head in heads.heads(scene)] == [1, 0]
    with pytest.raises(RuntimeError, match="no face number 8"):
        bpy.ops.limelight.face_choose(index=7)


def test_a_dragged_landmark_takes_its_neighbours_along_and_goes_to_the_engine(portrait, scene, draw):
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.limelight.face_drag(index=33, u=0.5, v=0.5)
    bpy.ops.limelight.face_find()
    before = np.array(face.points(face.chosen(portrait)))
    u, v = before[33] + (0.05, -0.03)
    assert bpy.ops.limelight.face_drag(index=33, u=u, v=v, reach=0.05) == {"FINISHED"}
    after = np.array(face.points(face.chosen(portrait)))
    gone = np.linalg.norm(after - before, axis=1)
    assert after[33] == pytest.approx((u, v), abs=1e-5)
    away = np.linalg.norm((before - before[33]) * (0.8, 1.0), axis=1)
    nearest, farthest = np.argsort(away)[1], np.argmax(away)
    assert 0.2 * gone[33] < gone[nearest] < gone[33] and gone[farthest] < 1e-4
    bpy.ops.limelight.face_make()
    assert np.allclose(asked()["landmarks"], after, atol=1e-6) and asked()["face"] == 0
    watch.refresh(bpy.context)
    assert "limelight.face_reset" in panel(draw).operators()
    assert bpy.ops.limelight.face_reset() == {"FINISHED"}
    assert np.allclose(face.points(face.chosen(portrait)), before)
    assert "limelight.face_reset" not in panel(draw).operators()


class Dragging:
    """The drag as a click in the Image Editor makes it."""

    def __init__(self, image):
        self.index, self.u, self.v, self.reach = -1, 0.0, 0.0, 0.05
        self._ratio, self._before = face.aspect(image), face.points(face.chosen(image))

    def __getattr__(self, name):
        function = getattr(bpy.types.LIMELIGHT_OT_face_drag, name)
        return lambda *args: function(self, *args)


def test_a_drag_follows_the_mouse_and_escape_puts_it_back(portrait, scene):
    bpy.ops.limelight.face_find()
    # One pixel of the region is a hundredth of the image.
    view = SimpleNamespace(region_to_view=lambda x, y: (x / 100, y / 100))
    context = SimpleNamespace(
        scene=scene, region=SimpleNamespace(view2d=view), window=None, window_manager=bpy.context.window_manager,
    )  # fmt: skip
    drag = Dragging(portrait)
    drag.index, drag._slip = 33, (0.0, 0.0)

    def event(kind, value="PRESS", x=60, y=40):
        return SimpleNamespace(type=kind, value=value, mouse_region_x=x, mouse_region_y=y)

    assert drag.modal(context, event("MOUSEMOVE")) == {"RUNNING_MODAL"}
    assert face.points(face.chosen(portrait))[33] == pytest.approx((0.6, 0.6), abs=1e-6)
    few = face.points(face.chosen(portrait))[34]
    drag.modal(context, event("WHEELUPMOUSE"))
    assert drag.reach > 0.05 and face.points(face.chosen(portrait))[34] != few
    assert drag.modal(context, event("ESC")) == {"CANCELLED"}
    assert not face.is_edited(face.chosen(portrait))
    drag.modal(context, event("MOUSEMOVE", x=50))
    assert drag.modal(context, event("LEFTMOUSE", "RELEASE")) == {"FINISHED"}
    assert face.points(face.chosen(portrait))[33] == pytest.approx((0.5, 0.6), abs=1e-6)


def test_the_grip_takes_the_nearest_point_in_pixels(portrait, scene):
    bpy.ops.limelight.face_find()
    found = face.points(face.chosen(portrait))
    for index in (33, 263, 61, 152):
        u, v = found[index]
        assert face.nearest(found, (u + 0.001, v), face.aspect(portrait))[0] == index
    assert all(0 <= index < face_lines.COUNT for index in face_lines.HANDLES) and len(face_lines.HANDLES) > 100


def test_landmarks_are_drawn_where_they_are(scene):
    import gpu
    from limelight.panels import face_landmarks
    from mathutils import Matrix

    if not hasattr(gpu, "init"):
        pytest.skip("this Blender cannot draw without a window")
    try:
        gpu.init()
        target = gpu.types.GPUOffScreen(120, 120, format="RGBA32F")
    except (SystemError, RuntimeError) as error:
        pytest.skip(str(error))
    spots = face_landmarks.in_pixels(landmarks(0.1, 0.1, 0.8), lambda x, y: (120 * x, 120 * y))
    moved = [index == 33 for index in range(face_lines.COUNT)]
    with target.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        buffer = gpu.state.active_framebuffer_get()
        buffer.clear(color=(0.0, 0.0, 0.0, 1.0))
        gpu.matrix.load_matrix(Matrix.Identity(4))
        ortho = Matrix(((2 / 120, 0, 0, -1), (0, 2 / 120, 0, -1), (0, 0, -1, 0), (0, 0, 0, 1)))
        gpu.matrix.load_projection_matrix(ortho)
        face_landmarks.draw(spots, moved)
        seen = np.array(buffer.read_color(0, 0, 120, 120, 4, 0, "FLOAT").to_list())
    target.free()

    def at(index):
        x, y = spots[index]
        return seen[int(y), int(x), :3]

    assert at(33)[0] > 2 * at(33)[2], "a moved landmark is orange"
    assert at(152)[2] > 0.5 and at(152)[1] > 0.5
    assert seen[:8].max() <= 1.0 and seen[:8, :, :3].max() == 0.0, "nothing below the lowest landmark"


def test_landmarks_are_for_the_open_portrait_only(portrait, scene):
    from limelight.operators import face_landmarks

    editor = editors.of_images()[0]
    context = SimpleNamespace(space_data=editor, scene=scene)
    assert face_landmarks.portrait_here(context) is None
    bpy.ops.limelight.face_find()
    assert face_landmarks.portrait_here(context) == portrait
    assert state.get(bpy.context).show_landmarks
    editor.image = bpy.data.images.new("other", 8, 8)
    assert face_landmarks.portrait_here(context) is None
