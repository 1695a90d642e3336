# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface remembers between two redraws: the list of probes, the problems found, the engine's set-up.

It lives on the window manager, so it is neither saved nor undone; what is seen of a scene, for each by itself: two
windows may show two. Panels only read it; operators and the watcher write.
"""

import json
from collections.abc import Callable

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty, PointerProperty, StringProperty
from bpy.types import PropertyGroup


class ProbeRow(PropertyGroup):
    """One line of the probe list; ``name`` is the object's name."""

    has_light: BoolProperty(name="Has light", description="This probe holds an estimated environment")
    status: StringProperty(name="Status", description="What happened to this probe last")


class ProblemRow(PropertyGroup):
    """One problem and the button that repairs it."""

    text: StringProperty(name="Problem", description="What keeps the estimate from starting")
    operator: StringProperty(name="Operator", description="The operator that repairs the problem")
    label: StringProperty(name="Label", description="What the repair button says")
    arguments: StringProperty(name="Arguments", description="Properties of the repair, as JSON", default="{}")


class JobRow(PropertyGroup):
    """One line of the list of shots; ``name`` is the job's."""

    state: StringProperty(name="State", description="Whether the shot waits, runs, is done or failed")
    fraction: FloatProperty(name="Progress", description="How much of the shot is done", min=0.0, max=1.0)
    text: StringProperty(name="Told", description="What the shot is at, or why it failed")


def _select_row(state: "SceneState", context: bpy.types.Context) -> None:
    if state.following or not 0 <= state.probe_index < len(state.probe_rows):
        return
    name = state.probe_rows[state.probe_index].name
    if name in context.scene.objects:
        bpy.ops.limelight.select_probe("EXEC_DEFAULT", True, name=name)  # type: ignore[attr-defined]


def _redraw_images(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.tag_redraw()


class SceneState(PropertyGroup):
    """What the panels show of one scene; ``name`` is the scene's, with its library."""

    probe_rows: CollectionProperty(type=ProbeRow, name="Probes", description="The probes of this scene")
    probe_index: IntProperty(
        name="Active probe",
        description="The probe that the buttons below work on; click to select it",
        update=_select_row,
    )
    following: BoolProperty(name="Following", description="The list is following the selection at the moment")
    job_rows: CollectionProperty(type=JobRow, name="Shots", description="The shots whose light is estimated in turn")
    job_index: IntProperty(name="Active shot", description="The shot whose state is told below the list")
    problems: CollectionProperty(type=ProblemRow, name="Problems", description="What keeps the estimate from starting")
    checked: BoolProperty(name="Checked", description="The problems were looked for at least once")
    frames_done: IntProperty(name="Frames done", description="How many frames of the newest shot have light", min=0)
    frames_painted: IntProperty(name="Frames painted", description="How many more have spheres but no light yet", min=0)
    frames_asked: IntProperty(name="Frames", description="How many the newest shot has; 0 if there is none", min=0)


class InterfaceState(PropertyGroup):
    """Everything that the panels show and that is not part of the file."""

    scenes: CollectionProperty(type=SceneState, name="Scenes", description="What was seen of each scene last")
    unseen: PointerProperty(type=SceneState, name="Unseen", description="What is known of a scene before it was seen")
    wipe: BoolProperty(
        name="Wipe",
        description="Show the original left of a line over the relit image; drag the line to compare",
        update=lambda _state, context: _redraw_images(context),
    )
    wipe_at: FloatProperty(
        name="Line", description="Where the line stands: 0 at the image's left edge, 1 at its right", min=0.0, max=1.0,
        default=0.5, update=lambda _state, context: _redraw_images(context),
    )  # fmt: skip
    show_landmarks: BoolProperty(
        name="Landmarks",
        description="Draw the points found in a portrait over it in the Image Editor; drag those that are off",
        default=True,
        update=lambda _state, context: _redraw_images(context),
    )
    setup_running: BoolProperty(name="Set-up running", description="The engine is being set up, verified or removed")
    setup_fraction: FloatProperty(
        name="Set-up progress", description="How far the set-up of the engine is", min=0.0, max=1.0, subtype="FACTOR"
    )
    setup_stage: StringProperty(name="Set-up stage", description="What the set-up of the engine does right now")
    setup_message: StringProperty(name="Set-up message", description="How the last set-up or check of the engine ended")
    setup_failed: BoolProperty(name="Set-up failed", description="The last set-up or check of the engine failed")


def get(context: bpy.types.Context) -> InterfaceState:
    """The interface's state of this Blender session."""
    return context.window_manager.limelight_interface


def seen(context: bpy.types.Context) -> SceneState:
    """What was seen last of the context's scene; nothing, not to be written to, before :func:`see`."""
    interface = get(context)
    found = interface.scenes.get(context.scene.name_full)
    return interface.unseen if found is None else found


def see(context: bpy.types.Context) -> SceneState:
    """What is seen of the context's scene, to be written to; it moves in memory when another scene's is added."""
    scenes, name = get(context).scenes, context.scene.name_full
    if name not in scenes:
        scenes.add().name = name
    return scenes[name]


def in_windows(context: bpy.types.Context, look: Callable[[bpy.types.Context], bool]) -> bool:
    """Look again at every scene that a window shows, in its window; True if something changed."""
    changed = False
    for window in {window.scene: window for window in context.window_manager.windows}.values():
        with context.temp_override(window=window):
            changed = look(context) or changed
    return changed


def show_problems(state: SceneState, problems: list) -> bool:
    """Store ``problems`` (``scene.problems.Problem``) for the panels; True if they differ from what was shown."""
    fresh = [
        (p.text, p.operator_idname, p.operator_label, json.dumps(p.properties, sort_keys=True))
        for p in problems
    ]
    if state.checked and fresh == [(r.text, r.operator, r.label, r.arguments) for r in state.problems]:
        return False
    state.problems.clear()
    for text, operator, label, arguments in fresh:
        row = state.problems.add()
        row.text, row.operator, row.label, row.arguments = text, operator, label, arguments
    state.checked = True
    return True


def show_probes(state: SceneState, probes: list, active: bpy.types.Object | None) -> bool:
    """Make the list show ``probes`` with ``active`` highlighted; True if anything changed."""
    fresh = [(p.name, p.limelight.environment is not None, p.limelight.status) for p in probes]
    changed = fresh != [(r.name, r.has_light, r.status) for r in state.probe_rows]
    if changed:
        state.probe_rows.clear()
        for name, has_light, status in fresh:
            row = state.probe_rows.add()
            row.name, row.has_light, row.status = name, has_light, status
    index = next((i for i, p in enumerate(probes) if p == active), min(state.probe_index, max(len(probes) - 1, 0)))
    if index != state.probe_index:
        state.following = True
        state.probe_index = index
        state.following = False
        changed = True
    return changed


CLASSES = (ProbeRow, ProblemRow, JobRow, SceneState, InterfaceState)
