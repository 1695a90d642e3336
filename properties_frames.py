# SPDX-License-Identifier: GPL-3.0-or-later
"""What a .blend remembers of light over frames: which frames, and where the files go."""

from bpy.props import BoolProperty, CollectionProperty, IntProperty, StringProperty
from bpy.types import PropertyGroup

from .scene.compat import RELATIVE_PATH


class ListedShot(PropertyGroup):
    """A shot that this file put on its list, by the job's name; it stays this file's under another name of that"""


class FrameSettings(PropertyGroup):
    """Which frames get light, and where it is kept"""

    use: BoolProperty(
        name="Over Frames",
        description="Estimate the light of every frame of a range instead of the current one: camera, probes and photo "
        "may move",
    )
    own_range: BoolProperty(
        name="Other Range", description="Take other frames than those that the scene renders", default=False
    )
    first: IntProperty(name="First", description="First frame that gets light", default=1)
    last: IntProperty(name="Last", description="Last frame that gets light", default=100)
    step: IntProperty(
        name="Step",
        description="Estimate every n-th frame only; the light between them is mixed",
        min=1,
        soft_max=12,
        default=1,
    )
    folder: StringProperty(
        name="Folder",
        description="Where the maps of the frames are kept: Blender packs no image sequences, so they must stay there",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
        default="//limelight",
    )
    listed: CollectionProperty(type=ListedShot, name="Listed", description="The shots that were put on the list")


CLASSES = (ListedShot, FrameSettings)
