# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does for a portrait, as runs: find its faces, make a head of one, estimate the light at the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..scene.handle import Handle
from . import previews
from .engine_run import EngineRun

#: What the probe of a head is called; Blender adds a number to a second one.
PROBE_NAME = "Face light"


def _image(portrait: Handle) -> bpy.types.Image:
    image: bpy.types.Image = portrait.found(bpy.data.images, "the portrait")
    return image


class FindFacesRun(EngineRun):
    """Writes down a picture; the faces that the engine finds are kept in its image."""

    kind = "landmarks"
    first_stage = "Writing down the portrait"

    def __init__(self, context: bpy.types.Context, picture: bpy.types.Image) -> None:
        super().__init__(context)
        self._picture = Handle.of(picture)

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import face

        return face.find_request(_image(self._picture), self.folder)

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import face

        image = _image(self._picture)
        face.remember(image, result["faces"])
        count = len(image.limelight.faces)
        self.notes = result.get("warnings", [])[:1]
        return "Found a face" if count == 1 else f"Found {count} faces; the largest is chosen"


class FaceRun(EngineRun):
    """Writes down a portrait; the head is its result, in front of the camera that took it."""

    kind = "face"
    first_stage = "Writing down the portrait"

    def __init__(self, context: bpy.types.Context, picture: bpy.types.Image, seed: int) -> None:
        super().__init__(context)
        self._picture, self._seed = Handle.of(picture), seed

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import face

        image = _image(self._picture)
        self._quality = context.scene.limelight.face.quality
        self._face = face.chosen_index(image)
        params = face.request(context.scene, image, self.folder, self._seed)
        self._answer = Path(params["out"])
        return params

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import head, head_place, heads, selection, visible

        scene, image = bpy.data.scenes[self.scene_name], _image(self._picture)
        note = {"quality": self._quality, "seed": self._seed, "reprojection": float(result.get("reprojection", -1.0))}
        # What a script has just moved is where it was until then.
        context.view_layer.update()
        there = heads.find(scene, image, self._face)
        if there is not None:
            visible.include(scene, there)
        # A head that the artist has put elsewhere, or looks at from elsewhere, changes where it is.
        moved = there is not None and not head_place.stands_in_photo(scene, there)
        thing = head.build(scene, self._answer, image, self._face, note)
        told = f"“{thing.name}” was brought up to date where it stands"
        if not moved:
            told = f"“{thing.name}” stands in front of {head_place.place(scene, thing).name}"
        # Only now: a run that was cancelled or failed leaves the scene's seed as it was.
        scene.limelight.face.seed = self._seed
        selection.select_alone(context, thing)
        overlay = self._answer / result.get("files", {}).get("overlay", "overlay.png")
        previews.show_file(previews.slot_of(thing), str(overlay))
        self.notes = result.get("warnings", [])[:1]
        return told


class FaceLightRun(EngineRun):
    """Writes down the photo behind a head; the light in front of its face becomes the World."""

    kind = "light"
    first_stage = "Writing down the photo"

    def __init__(self, context: bpy.types.Context, head: bpy.types.Object) -> None:
        super().__init__(context)
        self._head = Handle.of(head)

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import camera as cameras
        from ..scene import capture, head_place

        scene, head = context.scene, self._head.found(bpy.data.objects, "the head")
        if scene.camera is None:
            raise ValueError("the scene has no camera")
        unit = cameras.metres(scene)
        # As the photo shows the head, wherever the artist has put it.
        self._pose = head_place.seen_from(scene.camera, head, unit)
        self._place = head_place.light_spot(scene.camera, self._pose.translation, unit)
        seen = scene.camera.matrix_world.normalized().inverted() @ self._place
        spot = {"name": PROBE_NAME, "position": list(seen * unit), "radius": head_place.PROBE_RADIUS}
        params = capture.request(context, self.folder, [spot]) | {"take": 0}
        self._answer = Path(params["out"])
        return params

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import camera as cameras
        from ..scene import head_light, head_place, heads, probes, results, world

        scene, head = bpy.data.scenes[self.scene_name], self._head.found(bpy.data.objects, "the head")
        probe = heads.probe_of(scene, head)
        if probe is None:
            radius = head_place.PROBE_RADIUS / cameras.metres(scene)
            probe = probes.add_probe(scene, self._place, radius, name=PROBE_NAME)
            heads.keep_probe(head, probe)
        probes.move(probe, self._place)
        # It stands between camera and face; in the list of probes it is still there. A view layer sees it from now on.
        context.view_layer.update()
        if probe in set(context.view_layer.objects):
            probe.hide_set(True)
        entries = [entry | {"name": probe.name} for entry in result["probes"]]
        results.load_results(scene, self._answer, result | {"probes": entries})
        for entry in entries:
            previews.show_file(previews.slot_of(probe), str(self._answer / entry.get("preview", "")))
        lit = world.apply_world(scene, probe)
        there = head_light.of_panorama(probe.limelight.environment, self._pose)
        lit.limelight.strength_ev, lit.limelight.tint = head_light.matching(head.limelight.head.irradiance, there)
        self.notes = result.get("warnings", [])[:1]
        return f"“{head.name}” is lit like its photo"
