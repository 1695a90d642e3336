# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a picture from being relit, each with the button that repairs it."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from . import frames, probes
from .problems import Problem, setting, working_space


def find_problems(scene: bpy.types.Scene, source: bpy.types.Image | None) -> list[Problem]:
    """Everything that is missing or wrong; empty when ``source`` may be relit as the scene's settings say.

    Cheap enough for a panel: two Image Editors may show two pictures, so there is no one answer to keep.
    """
    return [*working_space(), *_source(source), *_REFERENCES[scene.limelight.relight.reference_type](scene)]


def needs_still(image: bpy.types.Image) -> bool:
    """Whether a picture must be taken of an image first: it moves, has layers, or lives until the next render only."""
    return frames.is_animated(image) or image.source == "VIEWER" or image.type == "MULTILAYER"


def still_problem(image: bpy.types.Image, operator: str) -> Problem:
    """Tells that an image needs a still, with the operator that takes it."""
    if image.type == "MULTILAYER" and not frames.is_animated(image):
        return Problem(f"“{image.name}” holds layers", operator, "Take its picture as a still")
    what = "a movie" if image.source == "MOVIE" else "no still picture"
    return Problem(f"“{image.name}” is {what}", operator, "Take this frame as a still")


def lit_probe(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The probe whose light is meant: the chosen one, else the highlighted one, else the first that holds light."""
    chosen, there = scene.limelight.relight.probe, probes.probes(scene)
    if chosen in there and chosen.limelight.environment is not None:
        return chosen
    active = there[scene.limelight.active_probe : scene.limelight.active_probe + 1]
    return next((probe for probe in [*active, *there] if probe.limelight.environment is not None), None)


def _source(source: bpy.types.Image | None) -> Iterator[Problem]:
    if source is None:
        yield Problem("No image is open here", "image.open", "Open an image")
    elif needs_still(source):
        yield still_problem(source, "limelight.relight_still")
    elif source.source == "TILED":
        yield Problem(f"“{source.name}” is a set of tiles, not one picture", "image.open", "Open another image")
    elif min(source.size) < 1:
        yield Problem(f"“{source.name}” shows nothing: its file is gone or damaged", "image.open", "Open another image")


def _picture(scene: bpy.types.Scene) -> Iterator[Problem]:
    image, choose = scene.limelight.relight.reference, ("limelight.relight_reference", "Choose a picture")
    if image is None:
        yield Problem("There is no reference: a picture whose light is wanted", *choose)
    elif needs_still(image) or image.source == "TILED":
        yield Problem(f"The reference “{image.name}” is no still picture", *choose)
    elif image.has_data and min(image.size) < 1:
        yield Problem(f"The reference “{image.name}” shows nothing: its file is gone or damaged", *choose)


def _panorama(scene: bpy.types.Scene) -> Iterator[Problem]:
    found = list(_picture(scene))
    yield from found
    image = scene.limelight.relight.reference
    # An image that nothing has shown yet is not read from the disk for this: the run looks again.
    if image is None or found or not image.has_data:
        return
    width, height = image.size
    if width != 2 * height:
        text = f"“{image.name}” is no panorama: {width} × {height}, not twice as wide as high"
        yield _switch(text, "Use it as a picture", "IMAGE", "Take the reference as a usual picture")


def _lamps(scene: bpy.types.Scene) -> Iterator[Problem]:
    if scene.camera is None:
        yield Problem("The scene has no camera", "limelight.add_camera", "Add a camera")


def _probe(scene: bpy.types.Scene) -> Iterator[Problem]:
    chosen, there = scene.limelight.relight.probe, probes.probes(scene)
    if not there:
        yield _switch("There is no probe yet", "Use a picture instead", "IMAGE", "Take the light from a picture")
    elif chosen is not None and chosen not in there:
        # The setting alone keeps it in the file.
        tip = "Take the light of the active probe, or of the first that holds any"
        text = f"The probe “{chosen.name}” is not in this scene any more"
        yield setting(text, "Use another probe", "scene.limelight.relight.probe", None, tip)
    elif lit_probe(scene) is None:
        yield Problem("No probe holds estimated light", "limelight.estimate", "Estimate the light")


def _switch(text: str, label: str, kind: str, tip: str) -> Problem:
    return setting(text, label, "scene.limelight.relight.reference_type", kind, tip)


_REFERENCES = {"IMAGE": _picture, "HDRI": _panorama, "LAMPS": _lamps, "PROBE": _probe}
