# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a portrait from becoming a head, each with the button that repairs it."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from . import camera as cameras
from . import head_place, paths
from .problems import Problem, of_camera, setting, working_space
from .relight_problems import needs_still, still_problem

#: Fewer pixels than this on the longer side show no face well enough.
_SMALLEST = 64


def find_problems(scene: bpy.types.Scene) -> list[Problem]:
    """Everything that keeps Find Faces from starting; cheap enough for a panel."""
    return [*working_space(), *_picture(scene.limelight.face.picture)]


def find_head_problems(scene: bpy.types.Scene) -> list[Problem]:
    """Everything that keeps Make Head from starting; cheap enough for a panel."""
    return [*find_problems(scene), *_camera(scene), *_folder(scene)]


def find_light_problems(scene: bpy.types.Scene, head: bpy.types.Object) -> list[Problem]:
    """What keeps a head from being lit like its photo."""
    if head_place.is_placed(scene, head):
        return []
    text = f"The camera does not show the photo of “{head.name}”"
    return [Problem(text, "limelight.face_place", "Put it back in the photo", {"name": head.name})]


def _picture(image: bpy.types.Image | None) -> Iterator[Problem]:
    choose = ("limelight.face_picture", "Choose a portrait")
    if image is None:
        yield Problem("No portrait is chosen", *choose)
    elif needs_still(image):
        yield still_problem(image, "limelight.face_still")
    elif image.source == "TILED":
        yield Problem(f"“{image.name}” is a set of tiles, not one picture", *choose)
    elif min(image.size) < 1:
        yield Problem(f"“{image.name}” shows nothing: its file is gone or damaged", *choose)
    elif max(image.size) < _SMALLEST:
        yield Problem(f"“{image.name}” has {image.size[0]} × {image.size[1]} pixels, too few for a face", *choose)


def _camera(scene: bpy.types.Scene) -> Iterator[Problem]:
    camera = scene.camera
    if camera is None or camera.type != "CAMERA":
        return  # a new one comes with the head
    if camera.library or camera.data.library:
        text = f"The camera “{camera.name}” belongs to another file and cannot be matched to the photo"
        yield Problem(text, "limelight.add_camera", "Add a camera")
    elif not cameras.is_rigid(camera.matrix_world):
        yield from of_camera(scene)


def _folder(scene: bpy.types.Scene) -> Iterator[Problem]:
    folder = scene.limelight.face.head_folder
    if folder and not paths.of_setting(folder).is_dir():
        tip = "Fit the head that ships with Limelight"
        text = f"There is no folder “{folder}” with another head"
        yield setting(text, "Use the own head", "scene.limelight.face.head_folder", "", tip)
