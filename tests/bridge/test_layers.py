# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom, read from the source of every file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDON = ("operators", "panels", "properties", "properties_frames", "properties_world", "preferences")
HEAVY = {"torch", "diffusers", "transformers", "scipy", "numba", "safetensors", "OpenEXR", "skimage", "PIL", "imageio"}
BLENDER = {"bpy", "bpy_extras", "gpu", "gpu_extras", "mathutils", "bmesh", "blf", "addon_utils"}


def imports(path: Path) -> Iterator[str]:
    """Absolute names a file imports; relative ones become ``limelight.…``."""
    package = ["limelight", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files(room: str) -> list[Path]:
    """The Python files of a room, which may be one file."""
    return sorted((ROOT / room).rglob("*.py")) or [ROOT / f"{room}.py"]


def test_relative_imports_are_resolved() -> None:
    found = set(imports(ROOT / "backend" / "serve.py"))
    assert {"limelight.bridge.messages", "limelight.backend.errors.Cancelled"} <= found


def offences(room: str, libraries: set[str], rooms: set[str]) -> list[str]:
    """Imports of ``room`` that name a forbidden library or room."""
    found = []
    for path in files(room):
        for name in imports(path):
            parts = name.split(".")
            ours = parts[1] if parts[0] == "limelight" and len(parts) > 1 else ""
            if parts[0] in libraries or ours in rooms:
                found.append(f"{path.relative_to(ROOT)}: {name}")
    return found


@pytest.mark.parametrize("room", ADDON)
def test_the_interface_never_meets_the_engine(room: str) -> None:
    assert offences(room, HEAVY, {"backend", "synthesis", "training", "benchmarks"}) == []


def test_scene_meets_the_bridge_only() -> None:
    assert offences("scene", HEAVY, {"backend", "operators", "panels", "synthesis", "training"}) == []


def test_bridge_is_standard_library_only() -> None:
    for path in files("bridge"):
        for name in imports(path):
            assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("limelight.bridge"), (path, name)


def test_backend_knows_no_blender() -> None:
    assert offences("backend", BLENDER, {"scene", *ADDON}) == []
    # Lists of jobs are worked off by the same code from the command line as from the panel.
    drivers = files("backend/batch")
    taken = {n for p in files("backend") if p not in drivers for n in imports(p) if n.startswith("limelight.bridge")}
    allowed = ("limelight.bridge.messages", "limelight.bridge.holding", "limelight.bridge.alike")
    assert all(name.startswith(allowed) for name in taken)


@pytest.mark.parametrize("room", ["synthesis", "training", "benchmarks"])
def test_only_the_scene_maker_knows_blender(room: str) -> None:
    found = offences(room, BLENDER, {"operators", "panels"})
    assert [f for f in found if not f.startswith(str(Path("synthesis", "blender")))] == []
