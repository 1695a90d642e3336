# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's answer into the file: images packed, lamps remembered, earlier ones updated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from . import compat, lamps, light_frames, own, probes


def load_results(scene: bpy.types.Scene, folder: Path, result: dict[str, Any]) -> list[bpy.types.Object]:
    """Store every probe's environment, fill, spheres and lamps, and bring what it lights up to date.

    Returns the probes that got light.
    """
    lit: list[bpy.types.Object] = []
    for entry in result["probes"]:
        probe = probes.named(scene, entry["name"])
        if probe is None:
            continue
        light = probe.limelight
        light.environment = load_image(light.environment, folder / entry["environment"], f"{probe.name} light", probe)
        light.fill = load_image(light.fill, folder / entry["fill"], f"{probe.name} fill", probe)
        light.spheres = load_image(light.spheres, folder / entry["spheres"], f"{probe.name} spheres")
        light.lamps, light.over_frames = json.dumps(entry["lamps"]), ""
        spread = entry.get("spread") or {"brightness_stops": -1.0, "direction_deg": -1.0}
        light.spread = spread["brightness_stops"], spread["direction_deg"]
        light.seconds = sum(result["seconds"].values()) / len(result["probes"])
        notes = [*result.get("warnings", []), *entry.get("warnings", [])]
        light.status = notes[0] if notes else "Estimated"
        lamps.renew(scene, probe)
        lit.append(probe)
    return lit


def sharers(image: bpy.types.Image) -> int:
    """How many slots of probes hold an image."""
    slots = ("environment", "fill", "spheres", "truth")
    return sum(getattr(o.limelight, slot) == image for o in bpy.data.objects for slot in slots)


def load_image(
    existing: bpy.types.Image | None, path: Path, name: str, probe: bpy.types.Object | None = None
) -> bpy.types.Image:
    """An EXR as a packed linear image, which takes the place of ``existing``: see :func:`take_place`."""
    fresh = bpy.data.images.load(str(path), check_existing=False)
    fresh.colorspace_settings.name = compat.LINEAR
    fresh.pack()
    take_place(existing, fresh, name, probe)
    # The paths lay in a job's folder that is gone by now; what counts is packed.
    fresh.filepath_raw = f"//{name}.exr"
    for packed in fresh.packed_files:
        packed.filepath = fresh.filepath_raw
    return fresh


def take_place(
    existing: bpy.types.Image | None, fresh: bpy.types.Image, name: str, probe: bpy.types.Object | None = None
) -> None:
    """Let an image that was just loaded be used and called like an earlier one, which goes.

    One that is also the truth, or a duplicated probe's, stays: only what was made from ``probe`` moves on then.
    """
    fresh.name = name
    fresh.use_fake_user = False
    if existing is None:
        return
    if sharers(existing) <= 1:
        existing.user_remap(fresh)
        bpy.data.images.remove(existing)
        fresh.name = name
    elif probe is not None:
        for owner in _made_from(probe):
            for node in light_frames.showing(owner, existing):
                node.image = fresh


def _made_from(probe: bpy.types.Object) -> list[bpy.types.World | bpy.types.Material]:
    """The Worlds and the materials of domes that show a probe's light."""
    worlds = [world for world in bpy.data.worlds if world.limelight.probe == probe.name]
    domes = [thing for thing in bpy.data.objects if thing.get(own.DOME) == probe.name]
    return worlds + [material for dome in domes for material in dome.data.materials if material is not None]
