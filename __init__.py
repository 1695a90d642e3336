# SPDX-License-Identifier: GPL-3.0-or-later
"""Limelight: the light that falls at a point of a photo or a scene, as an HDR environment, lamps and nodes."""

bl_info = {
    "name": "Limelight",
    "author": "Limelight contributors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D Viewport > Sidebar > Limelight",
    "description": "Light estimation from a photo or a scene",
    "category": "Lighting",
}

# What unregister() has to undo, in the order in which it was done.
_undo: list = []


def _register_class(cls: type) -> None:
    import bpy

    bpy.utils.register_class(cls)
    _undo.append(lambda: bpy.utils.unregister_class(cls))


def _attach_interface_state() -> None:
    import bpy

    from .operators.state import InterfaceState

    bpy.types.WindowManager.limelight_interface = bpy.props.PointerProperty(
        type=InterfaceState, name="Limelight interface", description="What Limelight's panels show"
    )
    _undo.append(lambda: delattr(bpy.types.WindowManager, "limelight_interface"))


def _register_command() -> None:
    import bpy

    # Before Blender 4.2 there are no commands.
    if not hasattr(bpy.utils, "register_cli_command"):
        return

    def command(argv: list) -> int:
        from .scene import command

        return command.main(argv)

    handle = bpy.utils.register_cli_command("limelight", command)
    _undo.append(lambda: bpy.utils.unregister_cli_command(handle))


def register() -> None:
    """Add everything to Blender; if any part fails, what was added before is taken back and the error goes on."""
    from . import operators, panels, preferences, properties
    from .operators import engine_session, previews, splat_import, watch
    from .panels import face_landmarks

    try:
        properties.register()
        _undo.append(properties.unregister)
        for cls in (*preferences.CLASSES, *operators.classes(), *panels.classes()):
            _register_class(cls)
        _attach_interface_state()
        _register_command()
        splat_import.register_menu()
        _undo.append(splat_import.unregister_menu)
        face_landmarks.register()
        _undo.append(face_landmarks.unregister)
        _undo.append(previews.unregister)
        _undo.append(engine_session.stop)
        watch.register()
        _undo.append(watch.unregister)
    except Exception:
        unregister()
        raise


def unregister() -> None:
    """Take back exactly what register() did, in reverse."""
    while _undo:
        _undo.pop()()
