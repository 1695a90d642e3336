# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a click points: rays from a viewport or the plate, the surface they meet, a place where they meet none."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
from mathutils import Vector

# Distance, in metres, of a probe on a ray that meets neither a surface nor the ground.
FREE_DISTANCE = 3.0
# A probe's radius as a share of its distance: about as large as a ball that a photographer would hold there.
RADIUS_SHARE = 0.04
RADIUS_RANGE = (0.02, 1.0)
_FARTHEST_GROUND = 50.0


@dataclass(frozen=True)
class Pick:
    """A place for a probe: its centre in world space, its radius in scene units, and ``on`` what it was put."""

    location: Vector
    radius: float
    on: str


def sensible_radius(distance: float, unit: float = 1.0) -> float:
    """A probe's radius for a point ``distance`` from the eye; both count in a ``unit`` of so many metres."""
    low, high = RADIUS_RANGE
    return min(max(distance * RADIUS_SHARE, low / unit), high / unit)


def pick_on_ray(
    context: bpy.types.Context,
    origin: Vector,
    direction: Vector,
    *,
    radius: float = 0.0,
    fallback: Vector | None = None,
) -> Pick:
    """Place a probe where the ray meets a surface, else the ground z = 0, else ``fallback`` or three metres away.

    ``origin`` and ``direction`` are in world space; ``radius`` 0 chooses one by distance. On a surface the centre is
    moved out along the normal by a little more than the radius, so that the sphere does not sink in.
    """
    from ..scene import camera as cameras
    from ..scene import probes, rays

    direction = direction.normalized()
    camera, unit = context.scene.camera, cameras.metres(context.scene)
    # The engine paints the sphere as the camera sees it, so its size follows the camera's distance, not the viewport's.
    eye = camera.matrix_world.translation if camera is not None else origin
    hit = rays.first_hit(context.scene, context.evaluated_depsgraph_get(), origin, direction, catcher=True)
    if hit is not None:
        size = radius or sensible_radius((hit.point - eye).length, unit)
        # A face seen from behind still gets its probe on the side that the click came from.
        outwards = hit.normal if hit.normal.dot(direction) <= 0 else -hit.normal
        return Pick(probes.surface_point(hit.point, outwards, size), size, "surface")
    if fallback is not None:
        return Pick(fallback.copy(), radius or sensible_radius((fallback - eye).length, unit), "cursor")
    if direction.z < -1e-3 and 0 < -origin.z / direction.z < _FARTHEST_GROUND / unit:
        distance = -origin.z / direction.z
        size = radius or sensible_radius(distance, unit)
        return Pick(origin + direction * distance + Vector((0, 0, size)), size, "ground")
    size = radius or sensible_radius(FREE_DISTANCE / unit, unit)
    return Pick(origin + direction * FREE_DISTANCE / unit, size, "air")


def camera_ray(scene: bpy.types.Scene, camera: bpy.types.Object, u: float, v: float) -> tuple[Vector, Vector]:
    """World-space origin and unit direction through pixel (u, v) of what ``camera`` renders; origin top left, [0, 1].

    Field of view, sensor fit, shift and aspect are Blender's own, or what the artist gave the photo in their place.
    """
    from ..scene import camera as cameras

    to_world = camera.matrix_world.normalized()
    if camera.data.type == "PERSP":
        eye = to_world.translation
        return eye, (cameras.unproject(scene, camera, u, v, 1.0) - eye).normalized()
    corners = camera.data.view_frame(scene=scene)
    left, right = min(c.x for c in corners), max(c.x for c in corners)
    bottom, top = min(c.y for c in corners), max(c.y for c in corners)
    on_frame = Vector((left + u * (right - left), top + v * (bottom - top), corners[0].z))
    if camera.data.type == "ORTHO":
        return to_world @ Vector((on_frame.x, on_frame.y, 0.0)), to_world.to_3x3() @ Vector((0.0, 0.0, -1.0))
    return to_world.translation, (to_world.to_3x3() @ on_frame).normalized()


def viewport_pick(
    context: bpy.types.Context, region: bpy.types.Region, view: bpy.types.RegionView3D, x: int, y: int, radius: float
) -> Pick:
    """Where a click at pixel (x, y) of a 3D viewport's ``region`` puts a probe."""
    from bpy_extras import view3d_utils

    origin = view3d_utils.region_2d_to_origin_3d(region, view, (x, y))
    direction = view3d_utils.region_2d_to_vector_3d(region, view, (x, y))
    fallback = None
    if view.view_perspective != "CAMERA":
        cursor = context.scene.cursor.location
        fallback = view3d_utils.region_2d_to_location_3d(region, view, (x, y), cursor)
    return pick_on_ray(context, origin, direction, radius=radius, fallback=fallback)


def region_under(context: bpy.types.Context, area_type: str, x: int, y: int) -> tuple | None:
    """The (area, main region) of type ``area_type`` below window pixel (x, y), of a quad view the one of the four; None
    over sidebars, headers, others."""
    if context.window is None:
        return None
    for area in context.window.screen.areas:
        if area.type != area_type or not _inside(area, x, y):
            continue
        for region in area.regions:
            # Sidebars lie over the main region when region overlap is on; a click there is meant for them.
            if region.type != "WINDOW" and region.width > 1 and region.height > 1 and _inside(region, x, y):
                return None
        main = (region for region in area.regions if region.type == "WINDOW" and _inside(region, x, y))
        return next(((area, region) for region in main), None)
    return None


def _inside(box: bpy.types.Area | bpy.types.Region, x: int, y: int) -> bool:
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height
