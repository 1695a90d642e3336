# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's answer into the file: images packed, lamps remembered, earlier ones updated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from . import compat, lamps, light_frames, origin, own, packed, probes


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
    packed.name_file(fresh, ".exr")
    return fresh


def take_place(
    existing: bpy.types.Image | None, fresh: bpy.types.Image, name: str, probe: bpy.types.Object | None = None
) -> None:
    """Let an image that was just loaded be used and called like an earlier one, which goes.

    One that is also the truth, a duplicated probe's, or lights as what another probe gave, stays: only what was made
    from ``probe`` moves on then.
    """
    fresh.name = name
    fresh.use_fake_user = False
    if existing is None:
        return
    lit = [(shows, of) for shows, of in _lit_by_probes() if light_frames.showing(shows, existing)]
    if not existing.library and sharers(existing) <= 1 and all(of == probe for _shows, of in lit):
        existing.user_remap(fresh)
        bpy.data.images.remove(existing)
        fresh.name = name
        return
    for shows, of in lit:
        if probe is not None and of == probe:
            for node in light_frames.showing(shows, existing):
                node.image = fresh


def _lit_by_probes() -> Iterator[tuple[bpy.types.World | bpy.types.Material, bpy.types.Object | None]]:
    """The Worlds of this file and the materials of its domes that show the light of probes, and whose, if it is here"""
    for world in bpy.data.worlds:
        if world.limelight.probe and own.is_local(world):
            yield world, origin.probe_of(world)
    for dome in bpy.data.objects:
        if own.DOME in dome and own.is_local(dome):
            yield from ((material, origin.probe_of(dome)) for material in dome.data.materials if material is not None)
