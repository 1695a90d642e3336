# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the interface's cached state fresh: after a change of the file, once, and never while drawing."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import engine_session, engine_work, relight_undo, save_as, shot_list, state

# Long enough to gather a drag's many updates into few checks, short enough to feel immediate.
_DELAY = 0.2


def active_probe(context: bpy.types.Context) -> bpy.types.Object | None:
    """The probe that buttons work on: the active object if it is one, else the highlighted line of the list."""
    from ..scene import probes

    active = context.view_layer.objects.active
    if active is not None and probes.is_probe(active):
        return active
    seen = state.seen(context)
    if not seen.checked:
        # A script may come before the list, which highlights the line that the file remembers.
        there, index = probes.probes(context.scene), context.scene.limelight.active_probe
        return there[index] if index < len(there) else None
    rows, index = seen.probe_rows, seen.probe_index
    if not 0 <= index < len(rows):
        return None
    return probes.named(context.scene, rows[index].name)


def refresh(context: bpy.types.Context, *, quick: bool = False) -> bool:
    """Look for the scene's problems and probes again and store them for the panels; True if something changed.

    ``quick`` leaves out the problems that take long to find.
    """
    from ..scene import probes, problems

    interface = state.see(context)
    found = probes.probes(context.scene)
    changed = state.show_probes(interface, found, active_probe(context))
    if found and context.scene.limelight.active_probe != interface.probe_index:
        context.scene.limelight.active_probe = interface.probe_index
    changed = _look_for_frames(context, interface) or changed
    changed = shot_list.refresh(context) or changed
    blocked = [p for p in (engine_session.engine_problem(context),) if p is not None]
    return state.show_problems(interface, blocked + problems.find_problems(context, quick=quick)) or changed


def refresh_windows(context: bpy.types.Context) -> bool:
    """Refresh every scene that a window shows; True if something changed."""
    return state.in_windows(context, lambda there: refresh(there, quick=_geometry_changes(there)))


def _look_for_frames(context: bpy.types.Context, interface: state.SceneState) -> bool:
    """See how many frames have light, where that is wanted; True if something changed."""
    from ..scene import shot_range

    scene = context.scene
    found = shot_range.progress(scene, shot_range.base(scene)) if scene.limelight.frames.use else None
    before = interface.frames_done, interface.frames_painted, interface.frames_asked
    interface.frames_done, interface.frames_painted, interface.frames_asked = now = found or (0, 0, 0)
    return before != now


def redraw(context: bpy.types.Context) -> None:
    """Ask the editors that show Limelight's panels to draw again."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "IMAGE_EDITOR", "PROPERTIES", "PREFERENCES"}:
                area.tag_redraw()


def _geometry_changes(context: bpy.types.Context) -> bool:
    """Whether meshes change all the time at the moment: an animation plays, or one is edited or sculpted."""
    return context.mode != "OBJECT" or (context.screen is not None and context.screen.is_animation_playing)


def _refresh_soon() -> None:
    if not hasattr(bpy.types.WindowManager, "limelight_interface"):
        return
    if refresh_windows(bpy.context):
        redraw(bpy.context)


def schedule() -> None:
    """Refresh a moment from now; many calls in a row cost one refresh. Nothing happens without a window."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_refresh_soon):
        bpy.app.timers.register(_refresh_soon, first_interval=_DELAY, persistent=True)


@persistent
def _on_change(*_args: object) -> None:
    schedule()


@persistent
def _on_undo(*_args: object) -> None:
    run = engine_session.running_run()
    if run is not None:
        run.undone()


@persistent
def _on_objects(scene: bpy.types.Scene, graph: bpy.types.Depsgraph) -> None:
    # A scene changes when objects come or go. Renders update it in a thread of their own.
    if graph.id_type_updated("SCENE") and not bpy.app.is_job_running("RENDER"):
        from ..scene import splat_drawing

        splat_drawing.forget_deleted_boxes(scene)


@persistent
def _on_frame(scene: bpy.types.Scene, *_args: object) -> None:
    from ..scene import frames

    plate = scene.limelight.plate
    # Only a photo that moves can be missing at another frame. Renders change frames in a thread of their own.
    if plate is not None and frames.is_animated(plate) and not bpy.app.is_job_running("RENDER"):
        schedule()


@persistent
def _on_load(*_args: object) -> None:
    # What runs goes on until the file is read: one that is damaged or gone leaves the open one as it is.
    engine_work.before_load()


@persistent
def _on_loaded(*_args: object) -> None:
    # A watcher that outlives its file would write into freed data (a known crash of other add-ons).
    engine_session.abandon()
    # Where a file is loaded into the windows that are there, they would go on showing the estimate that ended.
    bpy.context.window_manager.limelight.running = False
    engine_work.after_load()
    schedule()


@persistent
def _on_load_failed(*_args: object) -> None:
    engine_work.after_load()


_HANDLERS = (
    ("depsgraph_update_post", _on_change),
    ("depsgraph_update_post", _on_objects),
    ("undo_pre", relight_undo.remember),
    ("undo_post", relight_undo.mend),
    ("undo_post", _on_undo),
    ("undo_post", _on_change),
    ("redo_pre", relight_undo.remember),
    ("redo_post", relight_undo.mend),
    ("redo_post", _on_undo),
    ("redo_post", _on_change),
    ("load_post", _on_loaded),
    ("load_post_fail", _on_load_failed),
    ("animation_playback_post", _on_change),
    ("frame_change_post", _on_frame),
    ("load_pre", _on_load),
    ("save_pre", save_as.before),
    ("save_post", save_as.after),
    ("save_post", _on_change),
    ("save_post_fail", save_as.after),
)


def register() -> None:
    """Attach the handlers and plan a first look."""
    for name, function in _HANDLERS:
        # Blender before 4.2 lacks some.
        getattr(bpy.app.handlers, name, []).append(function)
    schedule()


def unregister() -> None:
    """Detach everything that ``register`` and ``schedule`` attached."""
    for name, function in reversed(_HANDLERS):
        if hasattr(bpy.app.handlers, name):
            getattr(bpy.app.handlers, name).remove(function)
    engine_work.forget()
    if bpy.app.timers.is_registered(_refresh_soon):
        bpy.app.timers.unregister(_refresh_soon)
