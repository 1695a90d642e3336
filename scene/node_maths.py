# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic written as node links: ``maths.add(a, b)`` makes a Math node and returns its output."""

from __future__ import annotations

from typing import Any

import bpy

#: A socket, or a number that is put into one.
Value = Any


class Maths:
    """Makes nodes in one tree, of shaders or geometry; what is a number becomes an unlinked input."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        self._made = 0

    def node(self, kind: str, **settings: Any) -> bpy.types.Node:
        """A new node with properties set, each to the right of the one before, so that a curious artist can follow."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        node.location = (180 * (self._made // 8) - 3000, -160 * (self._made % 8))
        node.hide = kind in ("ShaderNodeMath", "ShaderNodeVectorMath")
        self._made += 1
        return node

    def put(self, socket: bpy.types.NodeSocket, value: Value) -> None:
        """Link a socket, or set it."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def scalar(self, operation: str, *values: Value, clamp: bool = False) -> bpy.types.NodeSocket:
        """A Math node's output."""
        node = self.node("ShaderNodeMath", operation=operation, use_clamp=clamp)
        for socket, value in zip(node.inputs, values, strict=False):
            self.put(socket, value)
        return node.outputs[0]

    def vector(self, operation: str, *values: Value, number: Value = None) -> bpy.types.NodeSocket:
        """A Vector Math node's output; ``number`` goes into its Scale."""
        node = self.node("ShaderNodeVectorMath", operation=operation)
        for socket, value in zip(node.inputs, values, strict=False):
            self.put(socket, value)
        if number is not None:
            self.put(node.inputs["Scale"], number)
        return node.outputs["Value" if operation in ("DOT_PRODUCT", "LENGTH", "DISTANCE") else "Vector"]

    def named(self, name: str, kind: str) -> tuple[bpy.types.NodeSocket, bpy.types.NodeSocket]:
        """A point's attribute of this name in geometry nodes, and whether there is one."""
        node = self.node("GeometryNodeInputNamedAttribute", data_type=kind)
        self.put(node.inputs["Name"], name)
        return next(socket for socket in node.outputs if socket.enabled), node.outputs["Exists"]

    def stored(self, points: Value, name: str, kind: str, value: Value) -> bpy.types.NodeSocket:
        """Points with an attribute more, in geometry nodes."""
        node = self.node("GeometryNodeStoreNamedAttribute", data_type=kind, domain="POINT")
        for socket, given in zip(("Geometry", "Name"), (points, name), strict=True):
            self.put(node.inputs[socket], given)
        self.put(next(socket for socket in node.inputs if socket.name == "Value" and socket.enabled), value)
        return node.outputs[0]

    def switch(self, kind: str, condition: Value, no: Value, yes: Value) -> bpy.types.NodeSocket:
        """One of two values, in geometry nodes."""
        node = self.node("GeometryNodeSwitch", input_type=kind)
        for name, given in (("Switch", condition), ("False", no), ("True", yes)):
            self.put(next(socket for socket in node.inputs if socket.name == name and socket.enabled), given)
        return next(socket for socket in node.outputs if socket.enabled)

    def add(self, first: Value, second: Value) -> bpy.types.NodeSocket:
        return self.scalar("ADD", first, second)

    def subtract(self, first: Value, second: Value) -> bpy.types.NodeSocket:
        return self.scalar("SUBTRACT", first, second)

    def multiply(self, first: Value, second: Value) -> bpy.types.NodeSocket:
        return self.scalar("MULTIPLY", first, second)

    def divide(self, first: Value, second: Value) -> bpy.types.NodeSocket:
        return self.scalar("DIVIDE", first, second)
