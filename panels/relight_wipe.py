# SPDX-License-Identifier: GPL-3.0-or-later
"""The original over the relit image, left of a line that can be dragged: a look at both at once."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.types import Context, Event, Gizmo, GizmoGroup

from ..operators import state
from ..scene import relit

_LINE = (1.0, 1.0, 1.0, 0.9)
_HELD = (1.0, 0.72, 0.15, 1.0)
#: Pixels beside the line at which it can be taken, half its width, and the half height of its handle.
_REACH, _HALF, _HANDLE = 8, 1, 14
#: Texts stand this many pixels from line and edge, this high.
_MARGIN, _TEXT = 10, 12

Box = tuple[float, float, float, float]


def frame(view: bpy.types.View2D) -> Box:
    """Left, bottom, right and top of the image in pixels of the region, also where it reaches beyond it."""
    left, bottom = view.view_to_region(0.0, 0.0, clip=False)
    right, top = view.view_to_region(1.0, 1.0, clip=False)
    return left, bottom, right, top


def line(box: Box, at: float) -> float:
    """The column of the line, in pixels of the region."""
    left, _bottom, right, _top = box
    return left + (right - left) * at


def share(box: Box, x: float) -> float:
    """Where the line stands, 0 to 1, when it is dragged to a column of the region."""
    left, _bottom, right, _top = box
    return min(max((x - left) / max(right - left, 1.0), 0.0), 1.0)


def touches(box: Box, at: float, x: float, y: float) -> bool:
    """Whether the mouse at a pixel of the region can take the line."""
    return abs(x - line(box, at)) <= _REACH and box[1] <= y <= box[3]


def _wiped(context: bpy.types.Context) -> bpy.types.Image | None:
    """The original to draw, or None if the wipe is off or no result is open."""
    image = context.space_data.image if isinstance(context.space_data, bpy.types.SpaceImageEditor) else None
    return relit.source_of(image) if state.get(context).wipe and relit.is_relit(image) else None


def shader(kind: str) -> Any:
    """One of Blender's own shaders for coordinates of two dimensions."""
    import gpu

    # Until 3.6 the names say that coordinates have two dimensions.
    return gpu.shader.from_builtin(kind if bpy.app.version >= (4, 0, 0) else f"2D_{kind}")


def _rectangle(shader, left: float, bottom: float, right: float, top: float, **content):
    from gpu_extras.batch import batch_for_shader

    corners = ((left, bottom), (right, bottom), (right, top), (left, top))
    return batch_for_shader(shader, "TRIS", {"pos": corners, **content}, indices=((0, 1, 2), (2, 3, 0)))


def draw(source: bpy.types.Image, box: Box, at: float, *, held: bool) -> None:
    """Draw the original left of the line, then the line with a handle and what is on which side."""
    import gpu

    left, bottom, _right, top = box
    x = line(box, at)
    picture = shader("IMAGE")
    batch = _rectangle(picture, left, bottom, x, top, texCoord=((0, 0), (at, 0), (at, 1), (0, 1)))
    gpu.state.blend_set("ALPHA_PREMULT")
    picture.bind()
    picture.uniform_sampler("image", gpu.texture.from_image(source))
    batch.draw(picture)
    gpu.state.blend_set("ALPHA")
    plain, middle = shader("UNIFORM_COLOR"), (bottom + top) / 2
    plain.bind()
    plain.uniform_float("color", _HELD if held else _LINE)
    _rectangle(plain, x - _HALF, bottom, x + _HALF, top).draw(plain)
    _rectangle(plain, x - 3 * _HALF, middle - _HANDLE, x + 3 * _HALF, middle + _HANDLE).draw(plain)
    gpu.state.blend_set("NONE")
    _label(x, bottom)


def _label(x: float, bottom: float) -> None:
    import blf

    writer: Any = blf
    # Older Blenders want the resolution too.
    writer.size(0, _TEXT, *(() if bpy.app.version >= (4, 0, 0) else (72,)))
    writer.color(0, *_LINE)
    writer.enable(0, writer.SHADOW)
    writer.shadow(0, 3, 0.0, 0.0, 0.0, 0.8)
    width, _height = writer.dimensions(0, "Original")
    # Where the image reaches below the editor, its texts stay in sight.
    y = max(bottom, 0.0) + _MARGIN
    for text, start in (("Original", x - _MARGIN - width), ("Relit", x + _MARGIN)):
        writer.position(0, start, y, 0)
        writer.draw(0, text)
    writer.disable(0, writer.SHADOW)


class LIMELIGHT_GT_wipe(Gizmo):
    """Drag this line to compare the original with the relit image"""

    bl_idname = "LIMELIGHT_GT_wipe"

    def setup(self):
        """Where the line stood before a drag."""
        self.before, self.held = 0.5, False

    def draw(self, context: Context):
        """Draw original and line."""
        source, region = _wiped(context), context.region
        # An original whose file is gone has nothing to draw.
        if source is not None and region is not None and min(source.size) > 0:
            at = state.get(context).wipe_at
            draw(source, frame(region.view2d), at, held=self.held or self.is_highlight)

    def test_select(self, context: Context, location):
        """0 near the line, -1 elsewhere, so that clicks on the image go on to it."""
        if _wiped(context) is None or context.region is None:
            return -1
        return 0 if touches(frame(context.region.view2d), state.get(context).wipe_at, *location) else -1

    def invoke(self, context: Context, _event: Event):
        """Start to drag."""
        self.before, self.held = state.get(context).wipe_at, True
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event, _tweak):
        """Follow the mouse."""
        assert context.region is not None
        state.get(context).wipe_at = share(frame(context.region.view2d), event.mouse_region_x)
        return {"RUNNING_MODAL"}

    def exit(self, context: Context, cancel):
        """Let go; back to where it was if the drag was cancelled. No undo step: the file does not know of the line."""
        self.held = False
        if cancel:
            state.get(context).wipe_at = self.before


class LIMELIGHT_GGT_wipe(GizmoGroup):
    """Shows the original left of a line over a relit image"""

    bl_idname = "LIMELIGHT_GGT_wipe"
    bl_label = "Relight Wipe"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "WINDOW"
    bl_options = {"PERSISTENT", "SHOW_MODAL_ALL"}

    @classmethod
    def poll(cls, context: Context):
        """Only over a relit image, with the wipe switched on."""
        return _wiped(context) is not None

    def setup(self, _context: Context):
        """The one line."""
        gizmo = self.gizmos.new("LIMELIGHT_GT_wipe")
        gizmo.use_draw_modal = True


CLASSES = (LIMELIGHT_GT_wipe, LIMELIGHT_GGT_wipe)
