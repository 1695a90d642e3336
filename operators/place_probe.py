# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing a probe by a click in the 3D viewport or on the photo in the Image Editor."""

import bpy
from bpy.props import FloatProperty, FloatVectorProperty, StringProperty
from bpy.types import Context, Event, Operator
from mathutils import Vector

from . import picking, probe_preview, watch

_WHEEL_STEP = 1.15
_PASSED_ON = {"MIDDLEMOUSE", "TRACKPADPAN", "TRACKPADZOOM", "HOME", "NUMPAD_0", "NUMPAD_PERIOD", "TIMER"}


def _place(operator: Operator, context: bpy.types.Context, location: Vector, radius: float) -> set[str]:
    """What both operators do in the end: one probe with its centre at ``location``, selected and active."""
    from ..scene import camera as cameras
    from ..scene import probes, selection

    probe = probes.add_probe(context.scene, tuple(location), radius, name=operator.name or "Probe")
    selection.select_alone(context, probe)
    watch.refresh(context)
    watch.redraw(context)
    operator.report({"INFO"}, f"Placed {probe.name}, radius {radius * cameras.metres(context.scene):.2f} m")
    return {"FINISHED"}


def _takes_probes(operator: type[Operator], context: bpy.types.Context) -> bool:
    """What ``poll`` of both operators asks last."""
    if context.scene.library:
        operator.poll_message_set("This scene belongs to another file: copy it into this one first")
        return False
    return True


def _restore_window(context: Context) -> None:
    # There is no window left when Blender quits.
    if context.window is not None:
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)


def _resized(radius: float, event_type: str, unit: float) -> float:
    low, high = (bound / unit for bound in picking.RADIUS_RANGE)
    factor = _WHEEL_STEP if event_type in {"WHEELUPMOUSE", "NUMPAD_PLUS", "EQUAL"} else 1 / _WHEEL_STEP
    return min(max(radius * factor, low), high * 4)


class LIMELIGHT_OT_add_probe(Operator):
    """Click a point in the 3D viewport; the probe sits on the surface there and marks where the light is estimated"""

    bl_idname = "limelight.add_probe"
    bl_label = "Add Probe"
    bl_options = {"REGISTER", "UNDO"}

    location: FloatVectorProperty(
        name="Location", description="Centre of the probe in world space", size=3, subtype="TRANSLATION", unit="LENGTH"
    )
    radius: FloatProperty(
        name="Radius",
        description="Radius of the probe's sphere; 0 chooses one that suits the distance",
        min=0.0, soft_max=1.0, subtype="DISTANCE", unit="LENGTH",
    )
    name: StringProperty(name="Name", description="Name of the new probe", default="Probe")

    @classmethod
    def poll(cls, context: Context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave edit mode first: probes are placed in Object Mode")
            return False
        return _takes_probes(cls, context)

    def execute(self, context: Context):
        from ..scene import camera as cameras

        unit = cameras.metres(context.scene)
        radius = self.radius or picking.sensible_radius(picking.FREE_DISTANCE / unit, unit)
        return _place(self, context, self.location, radius)

    def invoke(self, context: Context, _event: Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        self._radius = 0.0
        self._preview = probe_preview.ProbePreview()
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set("Click a point: place the probe     Wheel or +/-: its size     Esc: cancel")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def _pick(self, context: Context, event: Event):
        under = picking.region_under(context, "VIEW_3D", event.mouse_x, event.mouse_y)
        if under is None:
            return None
        _area, region = under
        return picking.viewport_pick(
            context, region, region.data, event.mouse_x - region.x, event.mouse_y - region.y, self._radius
        )

    def modal(self, context: Context, event: Event):
        from ..scene import camera as cameras

        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            self.cancel(context)
            return {"CANCELLED"}
        pick = self._pick(context, event)
        if pick is None:
            # The sidebar, another editor: those clicks are not ours.
            self._preview.hide(context)
            return {"PASS_THROUGH"}
        if event.type in {"WHEELUPMOUSE", "WHEELDOWNMOUSE", "NUMPAD_PLUS", "NUMPAD_MINUS", "EQUAL", "MINUS"}:
            if event.value == "PRESS":
                self._radius = _resized(pick.radius, event.type, cameras.metres(context.scene))
                self._preview.show(context, self._pick(context, event) or pick)
            return {"RUNNING_MODAL"}
        if event.type == "MOUSEMOVE":
            self._preview.show(context, pick)
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self.location, self.radius = pick.location, pick.radius
            self.cancel(context)
            return self.execute(context)
        return {"PASS_THROUGH"} if event.type in _PASSED_ON else {"RUNNING_MODAL"}

    def cancel(self, context: Context):
        """Put the cursor, the status bar and the viewport back; Blender also calls this when it ends the operator."""
        self._preview.close(context)
        _restore_window(context)


class LIMELIGHT_OT_add_probe_image(Operator):
    """Click a point on the photo in the Image Editor; the probe is placed behind that pixel in the scene"""

    bl_idname = "limelight.add_probe_image"
    bl_label = "Add Probe on Photo"
    bl_options = {"REGISTER", "UNDO"}

    u: FloatProperty(name="U", description="Across the photo, 0 left to 1 right", min=0.0, max=1.0, default=0.5)
    v: FloatProperty(name="V", description="Down the photo, 0 top to 1 bottom", min=0.0, max=1.0, default=0.5)
    radius: FloatProperty(
        name="Radius",
        description="Radius of the probe's sphere; 0 chooses one that suits the distance",
        min=0.0, soft_max=1.0, subtype="DISTANCE", unit="LENGTH",
    )
    name: StringProperty(name="Name", description="Name of the new probe", default="Probe")

    @classmethod
    def poll(cls, context: Context):
        camera = context.scene.camera
        if camera is None or camera.type != "CAMERA":
            cls.poll_message_set("The scene has no camera yet: choose a photo first")
            return False
        return _takes_probes(cls, context)

    def execute(self, context: Context):
        camera = context.scene.camera
        assert camera is not None, "poll() sees to it"
        origin, direction = picking.camera_ray(context.scene, camera, self.u, self.v)
        pick = picking.pick_on_ray(context, origin, direction, radius=self.radius)
        return _place(self, context, pick.location, pick.radius)

    def invoke(self, context: Context, _event: Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set("Click a point of the photo: place the probe     Esc: cancel")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event):
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            self.cancel(context)
            return {"CANCELLED"}
        under = picking.region_under(context, "IMAGE_EDITOR", event.mouse_x, event.mouse_y)
        if under is None or event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        _area, region = under
        u, up = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
        if not (0 <= u <= 1 and 0 <= up <= 1):
            self.report({"WARNING"}, "That point lies outside the photo: click inside it")
            return {"RUNNING_MODAL"}
        self.u, self.v = u, 1 - up
        self.cancel(context)
        return self.execute(context)

    def cancel(self, context: Context):
        """Put the cursor and the status bar back; Blender also calls this when it ends the operator."""
        _restore_window(context)


CLASSES = (LIMELIGHT_OT_add_probe, LIMELIGHT_OT_add_probe_image)
