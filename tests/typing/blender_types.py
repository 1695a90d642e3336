# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin for mypy: what fake-bpy-module cannot know of Blender, or says wrongly.

It gives Blender's types the attributes that Limelight registers, so that a misspelt property is found, and mends the
few places where the stubs are wrong for everybody. All else is checked as the stubs of Blender 4.2 have it.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.maptype import map_instance_to_supertype
from mypy.nodes import MDEF, MypyFile, SymbolTableNode, TypeInfo, Var
from mypy.plugin import AttributeContext, ClassDefContext, FunctionContext, MethodContext, MethodSigContext, Plugin
from mypy.types import AnyType, CallableType, Instance, NoneType, Type, TypeOfAny, UnionType
from mypy.types_utils import remove_optional

#: What ``properties.register()`` and ``register()`` attach: attribute of Blender's, class of ours.
OURS = {
    "bpy.types.Scene.limelight": "limelight.properties.SceneSettings",
    "bpy.types.Object.limelight": "limelight.properties.ProbeLight",
    "bpy.types.World.limelight": "limelight.properties_world.WorldLight",
    "bpy.types.Image.limelight": "limelight.properties.RelitImage",
    "bpy.types.WindowManager.limelight": "limelight.properties.JobState",
    "bpy.types.WindowManager.limelight_interface": "limelight.operators.state.InterfaceState",
}
#: What exists in Blender, yet not in the stubs: subclasses have it, Cycles registers it, or it is built in.
ABSENT = {
    "bpy.types.Camera.cycles",
    "bpy.types.Constraint.subtarget",
    "bpy.types.Constraint.target",
    "bpy.types.Node.image",
    "bpy.types.NodeSocket.default_value",
    "bpy.types.NodeTreeInterfaceItem.in_out",
    "bpy.types.bpy_struct.__contains__",
    "mathutils.Matrix.__iter__",
    "mathutils.Vector.__iter__",
}
#: Optional in the stubs; never None where an add-on's code runs, or in data that Blender made.
ALWAYS_THERE = {
    "bpy.types.Context.preferences",
    "bpy.types.Context.scene",
    "bpy.types.Context.view_layer",
    "bpy.types.Context.window_manager",
    "bpy.types.Context.workspace",
    "bpy.types.Image.colorspace_settings",
    "bpy.types.ImageFormatSettings.linear_colorspace_settings",
    "bpy.types.NodeTree.interface",
    "bpy.types.Panel.layout",
    "bpy.types.AddonPreferences.layout",
    "bpy.types.Preferences.system",
    "bpy.types.Scene.cycles",
    "bpy.types.Scene.view_settings",
    "bpy.types.Window.screen",
}
#: What only the running program knows: ``Object.data`` follows ``Object.type``, the names of colour spaces, looks and
#: render engines are read from files and add-ons; and pixels, of which the stubs say that they are one number.
LOOSE_ATTRIBUTES = {
    "bpy.types.ColorManagedInputColorspaceSettings.name",
    "bpy.types.ColorManagedViewSettings.look",
    "bpy.types.ColorManagedViewSettings.view_transform",
    "bpy.types.Addon.preferences",
    "bpy.types.AreaSpaces.active",
    "bpy.types.Context.space_data",
    "bpy.types.Image.pixels",
    "bpy.types.ImagePreview.image_pixels",
    "bpy.types.ImagePreview.image_pixels_float",
    "bpy.types.ImageFormatSettings.file_format",
    "bpy.types.Node.type",
    "bpy.types.Object.data",
    "bpy.types.RenderSettings.engine",
}
#: Calls whose result is a subclass chosen by an argument, or that the stubs say return nothing.
LOOSE_CALLS = {
    "addon_utils.enable",
    "bpy.props.PointerProperty",
    "bpy.types.BlendDataLights.new",
    "bpy.types.Nodes.new",
    "bpy.types.ObjectModifiers.new",
    "bpy.types.Scene.ray_cast",
    "bpy.types.SequencesTopLevel.new_movie",
    "bpy.utils.register_cli_command",
    "gpu.shader.from_builtin",
}
#: Calls of which the stubs list no more than a placeholder as an argument.
LOOSE_ARGUMENTS = {"bpy.types.BlendDataNodeTrees.new"}
_COLLECTION = "bpy.types.bpy_prop_collection"
_USERS = ("limelight.scene.", "limelight.operators.", "limelight.panels.", "limelight.synthesis.blender.")


def _any() -> AnyType:
    return AnyType(TypeOfAny.special_form)


def _add_absent(context: ClassDefContext) -> None:
    info = context.cls.info
    for full in (*ABSENT, *OURS):
        owner, _, name = full.rpartition(".")
        if owner == info.fullname and name not in info.names:
            variable = Var(name, _any())
            variable.info, variable._fullname, variable.is_initialized_in_class = info, full, True
            info.names[name] = SymbolTableNode(MDEF, variable, plugin_generated=True)


def _ours(context: AttributeContext, full: str) -> Type:
    module, _, name = full.rpartition(".")
    file = context.api.modules.get(module)  # type: ignore[attr-defined]
    symbol = file.names.get(name) if file is not None else None
    return Instance(symbol.node, []) if symbol is not None and isinstance(symbol.node, TypeInfo) else _any()


def _loosen(context: MethodSigContext) -> CallableType:
    signature = context.default_signature
    return signature.copy_modified(arg_types=[_any() for _ in signature.arg_types])


def _found(context: MethodContext) -> Type:
    """What ``.get(key, default)`` returns: the stubs leave out a collection's own items, and all of a struct's."""
    bases = context.type.type.mro if isinstance(context.type, Instance) else []
    collection = next((base for base in bases if base.fullname == _COLLECTION), None)
    if collection is None or not isinstance(context.type, Instance):
        return _any()
    item = map_instance_to_supertype(context.type, collection).args[0]
    defaults = [type_ for types in context.arg_types[1:] for type_ in types]
    return UnionType.make_union([item, *(defaults or [NoneType()])])


class BlenderPlugin(Plugin):
    """Answers mypy's questions about the names in the tables above."""

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """Our own properties are known before the files that use them are checked."""
        wanted = sorted({full.rpartition(".")[0] for full in OURS.values()} - {file.fullname})
        return [(10, module, -1) for module in wanted] if file.fullname.startswith(_USERS) else []

    def get_customize_class_mro_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        owners = {full.rpartition(".")[0] for full in (*ABSENT, *OURS)}
        return _add_absent if fullname in owners else None

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        if fullname in OURS:
            return lambda context: _ours(context, OURS[fullname])
        if fullname in LOOSE_ATTRIBUTES:
            return lambda context: _any()
        if fullname in ALWAYS_THERE:
            return lambda context: remove_optional(context.default_attr_type)
        return None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        # Operators return a set; the stubs say that they return nothing.
        loose = fullname in LOOSE_CALLS or fullname.startswith("bpy.ops.")
        return (lambda context: _any()) if loose else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        if fullname.startswith("bpy.types.") and fullname.endswith(".get"):
            return _found
        return (lambda context: _any()) if fullname in LOOSE_CALLS else None

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], CallableType] | None:
        return _loosen if fullname in LOOSE_ARGUMENTS else None


def plugin(version: str) -> type[Plugin]:
    """What mypy asks for."""
    return BlenderPlugin
