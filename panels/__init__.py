# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees. Panels draw cached state and compute nothing."""


def classes() -> tuple[type, ...]:
    """All classes to register, in order."""
    from . import (
        compare,
        estimate,
        face,
        face_landmarks,
        frames,
        image_editor,
        light,
        probe_gizmo,
        probes,
        relight,
        relight_wipe,
        splats,
        view,
        world,
    )

    light_tabs = (view, probes, estimate, frames, light, compare, image_editor, relight, relight_wipe, world)
    return tuple(cls for module in (*light_tabs, probe_gizmo, face, face_landmarks, splats) for cls in module.CLASSES)
