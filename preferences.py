# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: where the engine lives, which device it computes on, where models are kept."""

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy.types import AddonPreferences, Context

from .scene import paths

ROOT = Path(__file__).resolve().parent
ADDON = __package__

# Blender keeps no reference to the strings of a dynamic enum; without ours they would be freed while shown.
_device_items: list[tuple[str, str, str, int]] = []
_python_items: list[tuple[str, str, str, int]] = []


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


def doctor_devices(report: str) -> list[tuple[str, str, str, int]]:
    """Enum items (id, name, description, number) of the devices in a stored doctor's report (JSON)."""
    items = [
        ("auto", "Automatic", "A GPU if one is there, else the processor", 0),
        ("cpu", "Processor (CPU)", "Works everywhere; slower than a GPU", 1),
    ]
    gpus = [d for d in json.loads(report or "{}").get("devices", []) if str(d.get("id", "cpu")) not in {"cpu", "auto"}]
    for number, device in enumerate(gpus, start=2):
        memory = device.get("memory_gb")
        room = f", {memory:.0f} GB" if isinstance(memory, int | float) else ""
        items.append((device["id"], f"{device.get('name', device['id'])}{room}", "Compute on this GPU", number))
    return items


def _list_devices(self: "LimelightPreferences", _context: bpy.types.Context) -> list[tuple[str, str, str, int]]:
    _device_items[:] = doctor_devices(self.doctor_report)
    return _device_items


def _list_pythons(self: "LimelightPreferences", _context: bpy.types.Context) -> list[tuple[str, str, str, int]]:
    _python_items[:] = [("CHOOSE", "Choose…", "Make the environment with a Python that you choose below", 0)]
    found = json.loads(self.found_pythons or "[]")
    versions = [version for _path, version in found]
    for number, (path, version) in enumerate(found, start=1):
        where = f" in {Path(path).parent}" if versions.count(version) > 1 else ""
        _python_items.append((path, f"Python {version}{where}", f"Make the environment with {path}", number))
    return _python_items


def _look_again(_stored: "LimelightPreferences", _context: bpy.types.Context) -> None:
    # Nothing in the scene changes, which the panels would follow.
    from .operators import watch

    watch.schedule()


class LimelightPreferences(AddonPreferences):
    """Where the engine lives and what it computes on"""

    bl_idname = ADDON

    engine_source: EnumProperty(
        name="Engine",
        description="Which Python environment computes the light",
        items=(
            ("OWN", "Limelight's own", "An environment that Limelight makes for itself and that you can remove again"),
            ("EXISTING", "Existing", "An environment that you made yourself, with the engine's packages installed"),
        ),
        default="OWN",
        update=_look_again,
    )
    environment: StringProperty(
        name="Folder",
        description="Where Limelight's own environment is made, about 2 GB; empty means Limelight's user folder",
        subtype="DIR_PATH",
        update=_look_again,
    )
    existing_python: StringProperty(
        name="Python",
        description="The Python of the existing environment, such as bin/python or Scripts\\python.exe inside it",
        subtype="FILE_PATH",
        update=_look_again,
    )
    base_python: EnumProperty(
        name="Made with", description="The installed Python that the environment is made with", items=_list_pythons
    )
    chosen_python: StringProperty(
        name="Python", description="A Python 3.11 or newer to make the environment with", subtype="FILE_PATH"
    )
    device: EnumProperty(
        name="Device", description="What the engine computes on; Verify lists the GPUs it can use", items=_list_devices
    )
    models_folder: StringProperty(
        name="Models",
        description="Where larger models are looked for; empty means .cache/limelight/models in your home folder",
        subtype="DIR_PATH",
    )
    found_pythons: StringProperty(
        name="Found Pythons", description="Pythons found on this computer, as JSON", options={"HIDDEN"}
    )
    doctor_report: StringProperty(
        name="Report", description="What the last verification of the engine found, as JSON", options={"HIDDEN"}
    )

    def draw(self, context: Context):
        """Draw the preferences; the panel's code is loaded when it is first seen."""
        from .panels import engine_preferences

        engine_preferences.draw(self, self.layout, context)


def addon_preferences(context: bpy.types.Context) -> LimelightPreferences | None:
    """The stored preferences; None where the package was registered without being enabled as an add-on."""
    entry = context.preferences.addons.get(ADDON)
    return None if entry is None else entry.preferences


def environment_folder(stored: LimelightPreferences | None) -> Path:
    """The folder of Limelight's own environment."""
    if stored is not None and stored.environment:
        return paths.at_home(stored.environment)
    return user_folder() / "engine"


def own_python(environment: Path) -> Path | None:
    """The Python of an environment that Limelight made completely; None if it is missing or was broken off."""
    from .bridge import setup

    return setup.python_in(environment) if setup.is_complete(environment) else None


def settings(context: bpy.types.Context) -> EngineSettings:
    """What it takes to start the engine now, from the preferences or, without them, from their defaults."""
    stored = addon_preferences(context)
    if stored is not None and stored.engine_source == "EXISTING":
        python = paths.at_home(stored.existing_python) if stored.existing_python else None
    else:
        python = own_python(environment_folder(stored))
    models = paths.at_home(stored.models_folder) if stored is not None and stored.models_folder else None
    device = (stored.device or "auto") if stored is not None else "auto"
    return EngineSettings(python, device, models, user_folder() / "engine.log")


CLASSES = (LimelightPreferences,)
