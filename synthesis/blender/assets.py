# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own things among the built ones: objects from a folder, or from Blender's asset libraries."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix, Vector

#: What can be brought in. A .blend gives its marked assets, or all its meshes if none is marked.
KINDS = {".blend", ".glb", ".gltf", ".obj", ".fbx", ".ply", ".stl"}
#: Larger things are taken for models in other units and made this large, metres.
LARGEST = 2.2


def find(source: str | None) -> list[Path]:
    """Files of a folder, or of all asset libraries of the preferences for the word ``libraries``, in order."""
    if not source:
        return []
    folders = [Path(source)]
    if source == "libraries":
        folders = [Path(bpy.path.abspath(lib.path)) for lib in bpy.context.preferences.filepaths.asset_libraries]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in KINDS)
    if not files:
        raise SystemExit(f"There is nothing to bring in from {source}; put {', '.join(sorted(KINDS))} files there.")
    return files


def scatter(scene: bpy.types.Scene, rng: random.Random, inside: dict[str, Any], files: list[Path]) -> None:
    """Set three to six things on the floor of a place, in front of where its camera will stand.

    ``inside["assets"]`` names them. A file that this Blender cannot read, as one of a newer Blender, is left out: it
    must not end a run of thousands.
    """
    low, high = inside["low"], inside["high"]
    inside["assets"] = []
    for _ in range(rng.randint(3, 6)):
        path = rng.choice(files)
        try:
            things = bring(scene, rng, path)
        except (OSError, RuntimeError) as error:
            print(f"{path.name} was left out: {error}", file=sys.stderr)
            continue
        if things:
            inside["assets"].append(path.name)
            x = rng.uniform(0.8 * low[0] + 0.2 * high[0], 0.2 * low[0] + 0.8 * high[0])
            y = rng.uniform(0.55 * low[1] + 0.45 * high[1], 0.15 * low[1] + 0.85 * high[1])
            set_down(things, Vector((x, y, 0.0)), rng.uniform(0, 2 * math.pi))


def bring(scene: bpy.types.Scene, rng: random.Random, path: Path) -> list[bpy.types.Object]:
    """Load one thing of a file into the scene: its objects."""
    before = set(scene.objects)
    if path.suffix.lower() == ".blend":
        with bpy.data.libraries.load(str(path), assets_only=True) as (available, _):  # type: ignore[attr-defined]
            marked = list(available.objects)
        with bpy.data.libraries.load(str(path), assets_only=bool(marked)) as (available, wanted):  # type: ignore[attr-defined]
            wanted.objects = [rng.choice(available.objects)] if marked else list(available.objects)
        for thing in wanted.objects:
            if thing is not None and thing.type in ("MESH", "CURVE", "SURFACE", "FONT", "EMPTY"):
                scene.collection.objects.link(thing)
    else:
        importer = {
            ".glb": "import_scene.gltf", ".gltf": "import_scene.gltf", ".fbx": "import_scene.fbx",
            ".obj": "wm.obj_import", ".ply": "wm.ply_import", ".stl": "wm.stl_import",
        }[path.suffix.lower()]  # fmt: skip
        area, name = importer.split(".")
        getattr(getattr(bpy.ops, area), name)(filepath=str(path))
    made = [thing for thing in scene.objects if thing not in before]
    # A file's own lamps and cameras are not wanted: the light is what is being taught.
    for thing in [thing for thing in made if thing.type in ("LIGHT", "CAMERA")]:
        made.remove(thing)
        bpy.data.objects.remove(thing)
    return made


def set_down(things: list[bpy.types.Object], place: Vector, turn: float) -> None:
    """Stand objects on the ground at a place, turned, at a believable size."""
    bpy.context.view_layer.update()
    corners = [t.matrix_world @ Vector(corner) for t in things if t.type != "EMPTY" for corner in t.bound_box]
    if not corners:
        return
    low, high = (Vector([pick(c[i] for c in corners) for i in range(3)]) for pick in (min, max))
    largest = max(high - low)
    scale = 1.0 if 0.15 <= largest <= LARGEST else believable(largest) / max(largest, 1e-6)
    foot = Vector(((low.x + high.x) / 2, (low.y + high.y) / 2, low.z))
    move = (
        Matrix.Translation(place) @ Matrix.Rotation(turn, 4, "Z") @ Matrix.Scale(scale, 4) @ Matrix.Translation(-foot)
    )
    for thing in things:
        if thing.parent is None or thing.parent not in things:
            thing.matrix_world = move @ thing.matrix_world
    bpy.context.view_layer.update()


def believable(largest: float) -> float:
    """What a thing of an unbelievable size is taken for: a large thing is large, a small one small."""
    return LARGEST if largest > LARGEST else 0.4
