# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head is made of: skin that light scatters in, from the engine's maps, and plain surfaces for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from . import compat, head_eyes, packed
from .head_mesh import UV_LAYER

#: Marks Limelight's images; a node of Limelight's is called by what it shows.
MARK = "limelight_head"
EYE = "eye"
#: How far red, green and blue light goes in skin, in metres: the spread of the six Gaussians that d'Eon and Luebke
#: (GPU Gems 3, chapter 14) fit to skin of three layers. Skin of one layer (Jensen et al. 2001) would spread red three
#: times as far, and lips and lids, which are thin, would lose it and look grey.
SKIN_PATHS = (0.00118, 0.00026, 0.00016)


@dataclass(frozen=True)
class _Plain:
    """A surface without maps: linear colour, roughness, how deep light goes as a share of what it does in skin."""

    colour: tuple[float, float, float]
    roughness: float
    depth: float


_PLAIN = {
    "socket": _Plain((0.35, 0.14, 0.11), 0.4, 1.0),
    "mouth": _Plain((0.28, 0.06, 0.05), 0.25, 1.0),
    "tongue": _Plain((0.45, 0.14, 0.13), 0.35, 1.0),
    "teeth": _Plain((0.68, 0.62, 0.52), 0.2, 0.5),
}
#: What wears the skin's maps too.
_SKINNED = ("neck",)
_OTHER = _Plain((0.5, 0.5, 0.5), 0.5, 0.0)


def fill(thing: bpy.types.Object, names: tuple[str, ...], folder: Path, unit: float) -> bpy.types.Material:
    """Give a head its materials, in the order of ``names``, with the maps in ``folder``; returns that of the eyes.

    Materials that it has keep what the artist changed; only their maps are new. ``unit``: metres in a scene's unit.
    """
    label = thing.name
    while len(thing.data.materials) < len(names):
        thing.data.materials.append(None)
    skin = names.index("skin")
    for slot, name in sorted(enumerate(names), key=lambda pair: pair[0] != skin):
        if thing.data.materials[slot] is None:
            thing.data.materials[slot] = (
                thing.data.materials[skin] if name in _SKINNED else _new(f"{label} {name}", name, unit)
            )
    _show_maps(thing.data.materials[skin], label, folder)
    return _eye(thing, folder)


def _new(label: str, name: str, unit: float) -> bpy.types.Material:
    material = bpy.data.materials.new(label)
    if name == "skin":
        _build_skin(material, unit)
    else:
        _build_plain(material, _PLAIN.get(name, _OTHER), unit)
    return material


def _eye(thing: bpy.types.Object, folder: Path) -> bpy.types.Material:
    there = [child.data.materials[0] for child in head_eyes.eyes(thing) if len(child.data.materials)]
    material = there[0] if there else None
    if material is None:
        material = bpy.data.materials.new(f"{thing.name} {EYE}")
        _build_eye(material)
    packed.show(material, EYE, folder / "eye.png", f"{thing.name} {EYE}", MARK)
    return material


def _surface(material: bpy.types.Material) -> tuple[bpy.types.NodeTree, bpy.types.Node]:
    """A material's tree with nothing but a Principled surface, and that."""
    tree = compat.node_tree(material)
    tree.nodes.clear()
    surface, output = tree.nodes.new("ShaderNodeBsdfPrincipled"), tree.nodes.new("ShaderNodeOutputMaterial")
    output.location = (300, 0)
    tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    # The maps hold reflectance at normal incidence as shares of 8 %, which is what the level means at this index.
    surface.inputs["IOR"].default_value = 1.5
    return tree, surface


def _picture(tree: bpy.types.NodeTree, name: str, row: int) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name = node.label = name
    node.location, node.extension = (-700, 300 - 300 * row), "EXTEND"
    return node


def _build_skin(material: bpy.types.Material, unit: float) -> None:
    tree, surface = _surface(material)
    compat.set_subsurface(surface, tuple(path / unit for path in SKIN_PATHS))
    diffuse, specular, roughness, normal = (_picture(tree, name, row) for row, name in enumerate(_MAPS))
    tree.links.new(diffuse.outputs["Color"], surface.inputs["Base Color"])
    scattered = compat.subsurface_colour(surface)
    if scattered is not None:
        tree.links.new(diffuse.outputs["Color"], scattered)
    tree.links.new(specular.outputs["Color"], compat.principled_input(surface, "Specular IOR Level"))
    tree.links.new(roughness.outputs["Color"], surface.inputs["Roughness"])
    bend = tree.nodes.new("ShaderNodeNormalMap")
    bend.location, bend.uv_map = (-300, -600), UV_LAYER
    tree.links.new(normal.outputs["Color"], bend.inputs["Color"])
    tree.links.new(bend.outputs["Normal"], surface.inputs["Normal"])


#: The engine's file of each map, and whether it is colour.
_MAPS = {
    "diffuse albedo": ("diffuse_albedo.png", True),
    "specular albedo": ("specular_albedo.png", False),
    "roughness": ("roughness.png", False),
    "normal": ("normal.png", False),
}


def _show_maps(material: bpy.types.Material, label: str, folder: Path) -> None:
    for name, (file, colour) in _MAPS.items():
        packed.show(material, name, folder / file, f"{label} {name}", MARK, data=not colour)


def _build_plain(material: bpy.types.Material, plain: _Plain, unit: float) -> None:
    _tree, surface = _surface(material)
    surface.inputs["Roughness"].default_value = plain.roughness
    if plain.depth:
        compat.set_subsurface(surface, tuple(path * plain.depth / unit for path in SKIN_PATHS))
    for socket in (surface.inputs["Base Color"], compat.subsurface_colour(surface)):
        if socket is not None:
            socket.default_value = (*plain.colour, 1.0)
    material.diffuse_color = (*plain.colour, 1.0)


def _build_eye(material: bpy.types.Material) -> None:
    tree, surface = _surface(material)
    tree.links.new(_picture(tree, EYE, 0).outputs["Color"], surface.inputs["Base Color"])
    surface.inputs["Roughness"].default_value = 0.3
    # The film of tears.
    compat.principled_input(surface, "Coat Weight").default_value = 1.0
    compat.principled_input(surface, "Coat Roughness").default_value = 0.02
