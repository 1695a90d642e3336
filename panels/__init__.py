# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees. Panels draw cached state and compute nothing."""


def classes() -> tuple[type, ...]:
    """All classes to register, in order."""
    from . import (
        batch,
        compare,
        estimate,
        face,
        face_landmarks,
        frames,
        image_editor,
        light,
        mesh_textures,
        probe_gizmo,
        probes,
        relight,
        relight_wipe,
        splat_capture,
        splats,
        view,
        world,
    )

    light_tabs = (view, probes, estimate, frames, batch, light, compare, image_editor, relight, relight_wipe)
    others = (world, probe_gizmo, face, face_landmarks, splats, splat_capture, mesh_textures)
    return tuple(cls for module in (*light_tabs, *others) for cls in module.CLASSES)
