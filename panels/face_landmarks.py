# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmarks of a portrait over it in the Image Editor: thin lines for the features, points that can be dragged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import bpy
from bpy.types import Context, Gizmo, GizmoGroup

from ..operators import state
from ..operators.face_landmarks import GRIP, place_under, portrait_here
from ..scene import face, face_lines
from . import relight_wipe

_LINE, _OTHER = (0.3, 0.95, 1.0, 0.75), (1.0, 1.0, 1.0, 0.3)
_POINT, _MOVED, _HELD = (0.85, 1.0, 1.0, 0.95), (1.0, 0.55, 0.1, 1.0), (1.0, 0.72, 0.15, 1.0)
#: Half the sides of points in pixels.
_HALF, _HALF_HELD = 1.5, 4.0
#: A landmark counts as moved from this far on, in the image's width or height.
_STILL = 1e-4

Pixel = tuple[float, float]
_handler: Any = None


def in_pixels(landmarks: Sequence[face.Point], to_region: Callable[[float, float], Pixel]) -> list[Pixel]:
    """Where landmarks are in a region; ``to_region`` takes places on the image from its bottom left."""
    return [to_region(u, 1 - v) for u, v in landmarks]


def _to_region(view: bpy.types.View2D) -> Callable[[float, float], Pixel]:
    """As ``view_to_region``, but not rounded to whole pixels, so that points do not jitter."""
    left, bottom = view.view_to_region(0.0, 0.0, clip=False)
    right, top = view.view_to_region(1.0, 1.0, clip=False)
    return lambda x, y: (left + (right - left) * x, bottom + (top - bottom) * y)


def _square(at: Pixel, half: float) -> list[Pixel]:
    (x, y), h = at, half
    a, b, c, d = (x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)
    return [a, b, c, a, c, d]


def _fill(kind: str, corners: list[Pixel], colour: tuple[float, ...]) -> None:
    from gpu_extras.batch import batch_for_shader

    if not corners:
        return
    shader = relight_wipe.shader("UNIFORM_COLOR")
    shader.bind()
    shader.uniform_float("color", colour)
    batch_for_shader(shader, kind, {"pos": corners}).draw(shader)


def draw(places: Sequence[Pixel], moved: Sequence[bool], *, chosen: bool = True) -> None:
    """Draw one face's landmarks (468 pixels of the region), those that were ``moved`` in another colour."""
    import gpu

    ends = [places[i] for line in face_lines.LINES.values() for pair in pairwise(line) for i in pair]
    gpu.state.blend_set("ALPHA")
    gpu.state.line_width_set(1.0)
    _fill("LINES", ends, _LINE if chosen else _OTHER)
    if chosen:
        for wanted, colour in ((False, _POINT), (True, _MOVED)):
            shown = [i for i in face_lines.HANDLES if moved[i] == wanted]
            _fill("TRIS", [corner for i in shown for corner in _square(places[i], _HALF)], colour)
    gpu.state.blend_set("NONE")


def draw_held(place: Pixel) -> None:
    """Draw the point that is under the mouse."""
    import gpu

    gpu.state.blend_set("ALPHA")
    _fill("TRIS", _square(place, _HALF_HELD), _HELD)
    gpu.state.blend_set("NONE")


def _draw_editor() -> None:
    """What the Image Editor calls after its image was drawn."""
    context = bpy.context
    image = portrait_here(context)
    if image is None or context.region is None or not state.get(context).show_landmarks:
        return
    to_region, chosen = _to_region(context.region.view2d), face.chosen_index(image)
    for index, found in enumerate(image.limelight.faces):
        now, before = face.points(found), face.points(found, as_found=True)
        moved = [abs(a[0] - b[0]) + abs(a[1] - b[1]) > _STILL for a, b in zip(now, before, strict=True)]
        places = in_pixels(now, to_region)
        draw(places, moved, chosen=index == chosen)
        if len(image.limelight.faces) > 1:
            _number(index, places)


def _number(index: int, places: Sequence[Pixel]) -> None:
    """The face's number as the panel calls it, above its forehead."""
    import blf

    writer: Any = blf
    # Older Blenders want the resolution too.
    writer.size(0, 14, *(() if bpy.app.version >= (4, 0, 0) else (72,)))
    writer.color(0, *_POINT)
    writer.position(0, places[10][0] - 4, max(y for _x, y in places) + 8, 0)
    writer.draw(0, str(index + 1))


class LIMELIGHT_GT_landmark(Gizmo):
    """Drag this landmark to where it belongs"""

    bl_idname = "LIMELIGHT_GT_landmark"

    def setup(self):
        """Where the landmark under the mouse is."""
        self.at = (0.0, 0.0)

    def draw(self, _context: Context):
        """Draw the landmark under the mouse."""
        if self.is_highlight:
            draw_held(self.at)

    def test_select(self, context: Context, location):
        """0 near a landmark, -1 elsewhere, so that clicks on the image go on to it."""
        image, region = portrait_here(context), context.region
        if image is None or region is None:
            return -1
        landmarks = face.points(face.chosen(image))
        index, _away = face.nearest(landmarks, place_under(region, *location), face.aspect(image))
        u, v = landmarks[index]
        self.at = _to_region(region.view2d)(u, 1 - v)
        return 0 if max(abs(a - b) for a, b in zip(self.at, location, strict=True)) <= GRIP else -1


class LIMELIGHT_GGT_landmarks(GizmoGroup):
    """Lets the landmarks of a portrait be dragged"""

    bl_idname = "LIMELIGHT_GGT_landmarks"
    bl_label = "Landmarks"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "WINDOW"
    bl_options = {"PERSISTENT"}

    @classmethod
    def poll(cls, context: Context):
        """Only over the portrait, with the landmarks shown."""
        return portrait_here(context) is not None and state.get(context).show_landmarks

    def setup(self, _context: Context):
        """One for all landmarks: it is wherever the mouse comes near to one."""
        self.gizmos.new("LIMELIGHT_GT_landmark").target_set_operator("limelight.face_drag")


def register() -> None:
    """Draw over Image Editors from now on."""
    global _handler
    _handler = bpy.types.SpaceImageEditor.draw_handler_add(_draw_editor, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    """Undo :func:`register`."""
    global _handler
    if _handler is not None:
        bpy.types.SpaceImageEditor.draw_handler_remove(_handler, "WINDOW")
        _handler = None


CLASSES = (LIMELIGHT_GT_landmark, LIMELIGHT_GGT_landmarks)
