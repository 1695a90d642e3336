# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: where the engine lives, which device it computes on, where models are kept."""

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy.types import AddonPreferences

ROOT = Path(__file__).resolve().parent
ADDON = __package__

# Blender keeps no reference to the strings of a dynamic enum; without ours they would be freed while shown.
_device_items: list[tuple[str, str, str]] = []
_python_items: list[tuple[str, str, str]] = []


@dataclass(frozen=True)
class EngineSettings:
    """What it takes to start the engine; ``python`` is None if none was set up, ``models`` None for the default."""

    python: Path | None
    device: str
    models: Path | None
    log_file: Path


def user_folder() -> Path:
    """The folder of this extension's own files; also where Blender has no extensions (before 4.2)."""
    if hasattr(bpy.utils, "extension_path_user"):
        try:
            return Path(bpy.utils.extension_path_user(ADDON))
        except ValueError:
            # Loaded as a legacy add-on or as a plain module: there is no extension folder.
            return Path(bpy.utils.user_resource("DATAFILES", path="limelight"))
    return Path(bpy.utils.user_resource("DATAFILES", path="limelight"))


def python_in(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    windows = environment / "Scripts" / "python.exe"
    return windows if windows.is_file() else environment / "bin" / "python"


def doctor_devices(report: str) -> list[tuple[str, str, str]]:
    """Enum items (id, name, description) of the devices in a stored doctor's report (JSON)."""
    items = [
        ("auto", "Automatic", "A GPU if one is there and has enough memory, else the processor"),
        ("cpu", "Processor (CPU)", "Works everywhere; slower than a GPU"),
    ]
    for device in json.loads(report or "{}").get("devices", []):
        if device.get("id", "cpu") != "cpu":
            memory = device.get("memory_gb")
            room = f", {memory:.0f} GB" if isinstance(memory, int | float) else ""
            items.append((device["id"], f"{device.get('name', device['id'])}{room}", "Compute on this GPU"))
    return items


def _list_devices(self: "LimelightPreferences", _context: bpy.types.Context) -> list[tuple[str, str, str]]:
    _device_items[:] = doctor_devices(self.doctor_report)
    return _device_items
