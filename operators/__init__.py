# SPDX-License-Identifier: GPL-3.0-or-later
"""What a click does: thin operators over ``scene`` and ``bridge``, one file a capability."""


def classes() -> tuple[type, ...]:
    """All classes to register, in order."""
    from . import (
        apply,
        batch,
        compare,
        depth,
        engine,
        estimate,
        face,
        face_inputs,
        face_landmarks,
        face_results,
        mesh_textures,
        place_probe,
        plate,
        probe_list,
        relight,
        relight_inputs,
        relight_results,
        repair,
        splat_capture,
        splat_edit,
        splat_import,
        splat_relight,
        splat_train,
        state,
        sun,
    )

    light = (state, place_probe, probe_list, plate, depth, repair, estimate, batch, apply, sun, compare, engine)
    relit = (relight, relight_inputs, relight_results)
    portraits = (face, face_inputs, face_landmarks, face_results)
    clouds = (splat_import, splat_relight, splat_edit, splat_capture, splat_train, mesh_textures)
    return tuple(cls for module in (*light, *relit, *portraits, *clouds) for cls in module.CLASSES)
