# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees. Panels draw cached state and compute nothing."""


def classes() -> tuple[type, ...]:
    """All classes to register, in order."""
    from . import compare, estimate, image_editor, light, probe_gizmo, probes, relight, relight_wipe, view, world

    return tuple(
        cls
        for module in (view, probes, estimate, light, compare, image_editor, relight, relight_wipe, world, probe_gizmo)
        for cls in module.CLASSES
    )
