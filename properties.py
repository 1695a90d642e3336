# SPDX-License-Identifier: GPL-3.0-or-later
"""What a .blend remembers of Limelight: the plate and the settings, the probes and their light, the world's look."""

import math

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from . import properties_frames, properties_world
from .properties_frames import FrameSettings
from .properties_world import ProbeToken, WorldLight
from .scene.compat import RELATIVE_PATH

#: The largest number of a take: the button for another one adds to it, and Blender's own end right behind.
_LAST = 2**31 - 2


def _read_fov(settings: "FaceSettings", _context: bpy.types.Context) -> None:
    from .scene import plate

    settings.fov = math.radians(plate.fov_of_file(settings.picture) or 0.0) if settings.picture else 0.0


class RelightSettings(PropertyGroup):
    """Whose light a picture gets, and how"""

    reference_type: EnumProperty(
        name="Light from",
        description="Whose light the picture gets",
        items=(
            ("IMAGE", "Picture", "The light of another picture, of any place"),
            ("HDRI", "HDRI", "The light of a panorama around the camera, twice as wide as high"),
            ("LAMPS", "This Scene's Lamps", "All light of this scene, rendered in front of its camera"),
            ("PROBE", "A Probe's Light", "The HDR environment that was estimated at a probe"),
        ),
        default="IMAGE",
    )
    reference: PointerProperty(
        type=bpy.types.Image, name="Reference", description="The picture or panorama whose light is wanted"
    )
    probe: PointerProperty(
        type=bpy.types.Object,
        name="Probe",
        description="The probe whose estimated light is wanted; empty takes the active one, or the first with light",
        poll=lambda _settings, thing: thing.limelight.is_probe and thing.limelight.environment is not None,
    )
    rotation: FloatProperty(
        name="Rotation",
        description="Turns the light about the vertical, counter-clockwise seen from above: to the left in the picture",
        subtype="ANGLE",
    )
    strength: FloatProperty(
        name="Strength",
        description="0 % keeps the picture's own light, 100 % takes the reference's, more exaggerates it",
        subtype="PERCENTAGE",
        min=0.0,
        max=150.0,
        default=100.0,
        precision=0,
    )
    quality: EnumProperty(
        name="Quality",
        description="More steps and candidates come nearer to the reference's light and take longer",
        items=(
            ("DRAFT", "Draft", "A quick look"),
            ("NORMAL", "Normal", "The usual choice"),
            ("HIGH", "High", "More candidates to choose the best from"),
        ),
        default="NORMAL",
    )
    seed: IntProperty(name="Seed", description="Another number makes other candidates", min=0)
    take: IntProperty(
        name="Take",
        description="0 takes the candidate whose light is nearest to the reference's; 1, 2, … is one of them",
        min=0,
        max=_LAST,
    )
    keep_ratio: BoolProperty(
        name="Light ratio",
        description="Keep relit over original, linear, as an image of its own, to multiply with in the compositor",
    )
    model: StringProperty(
        name="Model",
        description="Folder of a large model in diffusers' layout; empty uses the small one that ships with Limelight",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )


class FaceSettings(PropertyGroup):
    """Which portrait becomes a head, and how"""

    picture: PointerProperty(
        type=bpy.types.Image,
        name="Portrait",
        description="The photo of the face that becomes a head",
        update=_read_fov,
    )
    fov: FloatProperty(
        name="View angle",
        description="Horizontal field of view of the portrait, read from its file when it is chosen; 0 lets the engine "
        "take a usual lens",
        subtype="ANGLE",
        min=0.0,
        max=2.6,
        default=0.0,
    )
    quality: EnumProperty(
        name="Quality",
        description="Finer maps and a closer fit take longer",
        items=(
            ("DRAFT", "Draft", "A quick look"),
            ("NORMAL", "Normal", "The usual choice"),
            ("HIGH", "High", "The finest maps"),
        ),
        default="NORMAL",
    )
    seed: IntProperty(
        name="Seed", description="Another number guesses differently at the skin that the photo hides", min=0, max=_LAST
    )
    saturation: FloatProperty(
        name="Colours",
        description="How strong the photo's colours are: over 100 % if camera or film made skin more colourful than it "
        "is, so that the head came out too dark; under 100 % if it came out too pale",
        subtype="PERCENTAGE",
        min=50.0,
        max=200.0,
        default=100.0,
        precision=0,
    )
    head_folder: StringProperty(
        name="Other head",
        description="Folder of ICT-FaceKit, to fit its head; empty takes the one that ships with Limelight",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )


class CaptureSettings(PropertyGroup):
    """Pictures of an object from all around, and splats learnt from pictures"""

    folder: StringProperty(
        name="Folder",
        description="Where captures are put; empty: “captures” beside the .blend, or in Limelight's user folder",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )
    views: IntProperty(
        name="Views",
        description="Pictures to learn from; an eighth as many more are made for testing",
        min=8,
        max=2000,
        default=100,
    )
    size: IntProperty(
        name="Size", description="Width and height of the pictures in pixels", min=32, max=4096, default=400
    )
    samples: IntProperty(name="Samples", description="Of each picture in Cycles, denoised", min=1, max=4096, default=64)
    lowest: FloatProperty(
        name="Lowest",
        description="How far above the horizon the lowest pictures are taken from; negative is from below",
        subtype="ANGLE",
        min=-1.55,
        max=1.2,
        default=-0.35,
    )
    source: StringProperty(
        name="Pictures",
        description="Folder with transforms.json, or with images and COLMAP's sparse model; a capture fills it in",
        subtype="DIR_PATH",
        options=RELATIVE_PATH,
    )
    tone: EnumProperty(
        name="Tone",
        description="How light became the pictures' pixels",
        items=(
            ("SRGB", "Plain", "Plain sRGB values, as captures of Blender scenes have them"),
            ("ACES", "Film curve", "A film curve, as cameras and the view transforms of films have it"),
        ),
        default="SRGB",
    )
    up: EnumProperty(
        name="Up",
        description="Which way is up among the pictures' cameras",
        items=(
            ("AUTO", "As usual", "Z for transforms.json, −Y for COLMAP"),
            ("Z_UP", "Z", "As Blender has it"),
            ("Y_DOWN", "−Y", "Y points down, Z ahead"),
            ("Y_UP", "Y", "Y points up, Z back"),
        ),
        default="AUTO",
    )
    iterations: IntProperty(
        name="Iterations",
        min=0,
        description="Of all stages; 0 takes what suits the device: 6 000, for a mesh's textures 3 000; on a GPU 75 000 "
        "or 20 000",
    )
    resolution: IntProperty(
        name="Train at",
        min=0,
        description="Pixels along a picture's longer side; 0 takes 256, on a GPU 1600, for a mesh's textures 1024",
    )
    gaussians: IntProperty(
        name="Gaussians", description="The most there may be; 0 takes 20 000, on a GPU 500 000", min=0
    )
    texels: IntProperty(
        name="Texels", description="Along a side of a mesh's textures; 0 takes 512, on a GPU 1024", min=0, max=8192
    )
    unwrap: BoolProperty(
        name="New UV Map",
        description="Unwrap the mesh into a UV map of its own first, where the one it has lays places over each other "
        "or beyond the square; the mesh must be of triangles",
    )
    start: StringProperty(
        name="Start from",
        description="A splat file that somebody trained of these pictures, to skip the first stage",
        subtype="FILE_PATH",
        options=RELATIVE_PATH,
    )


class SceneSettings(PropertyGroup):
    """What the engine sees of a scene, and how it estimates"""

    source: EnumProperty(
        name="Source",
        description="What the engine sees: a photo behind the scene, or the scene itself",
        items=(
            ("PLATE", "Photo", "A photo, set as the camera's background"),
            ("SCENE", "Scene", "The active camera's view of the scene, rendered linear"),
        ),
        default="SCENE",
    )
    plate: PointerProperty(type=bpy.types.Image, name="Photo", description="The photo behind the scene's camera")
    cleared_film: BoolProperty(name="Film cleared", description="The film became transparent for the photo's sake")
    depth_source: EnumProperty(
        name="Depth",
        description="Where the distance of what the photo shows comes from",
        items=(
            ("ESTIMATE", "Estimate", "The engine guesses it from the photo"),
            ("GEOMETRY", "Geometry", "The meshes in front of the camera stand for what the photo shows"),
            ("FILE", "File", "A depth map as EXR: planar distance in metres"),
        ),
        default="ESTIMATE",
    )
    depth_file: StringProperty(
        name="Depth file", description="The depth map (EXR, metres)", subtype="FILE_PATH", options=RELATIVE_PATH
    )
    fov_override: FloatProperty(
        name="Field of view",
        description="Horizontal field of view of the photo; 0 keeps the camera's",
        subtype="ANGLE",
        min=0.0,
        max=2.9,
        default=0.0,
    )
    quality: EnumProperty(
        name="Quality",
        description="More steps and takes are calmer and slower",
        items=(
            ("DRAFT", "Draft", "A few seconds a probe"),
            ("NORMAL", "Normal", "The usual choice"),
            ("HIGH", "High", "Calmer spheres, finer fit"),
        ),
        default="NORMAL",
    )
    size: EnumProperty(
        name="Map size",
        description="Width of the HDR map in pixels",
        items=(
            ("256", "256", "256 × 128 pixels"),
            ("512", "512", "512 × 256 pixels"),
            ("1024", "1024", "1024 × 512 pixels: sharper reflections of what the photo shows"),
        ),
        default="512",
    )
    seed: IntProperty(name="Seed", description="Another number paints another take of what the photo hides", min=0)
    take: IntProperty(
        name="Take",
        description="0 averages several takes; 1, 2, … is one of them alone: sharper, and more of it made up",
        min=0,
        max=_LAST,
    )
    use_front: BoolProperty(
        name="Front from photo",
        description="Lay what the photo shows over the estimated map, so that its reflections are sharp",
        default=True,
    )
    model: EnumProperty(
        name="Model",
        description="Which model paints the spheres",
        items=(("embedded", "Embedded", "Ships with Limelight and runs on any computer"),),
        default="embedded",
    )
    own_world: PointerProperty(
        type=bpy.types.World, name="Own world", description="The World that lit the scene before Limelight's did"
    )
    world: PointerProperty(
        type=bpy.types.World, name="Limelight's world", description="The World that Limelight made for this scene"
    )
    tokens: CollectionProperty(type=ProbeToken, name="Tokens", description="Which probes Worlds and lamps came from")
    active_probe: IntProperty(name="Active probe", description="Number of the probe that the list highlights", min=0)
    frames: PointerProperty(type=FrameSettings, name="Frames", description="Light that changes from frame to frame")
    relight: PointerProperty(type=RelightSettings, name="Relight", description="How pictures get other light")
    face: PointerProperty(type=FaceSettings, name="Face", description="How a portrait becomes a head")
    capture: PointerProperty(type=CaptureSettings, name="Capture", description="How objects become splats")


class HeadMemory(PropertyGroup):
    """What the head of a portrait remembers"""

    is_head: BoolProperty(name="Is a head", description="Limelight made this object from a portrait")
    picture: PointerProperty(type=bpy.types.Image, name="Portrait", description="The photo that it was made of")
    face: IntProperty(name="Face", description="Which of the photo's faces it is, counted from 0", min=0)
    rotation: FloatVectorProperty(
        name="Rotation", description="From the head's axes to those of the photo's camera, row by row", size=9
    )
    translation: FloatVectorProperty(
        name="Translation", description="Where the photo's camera saw the head, in metres", size=3
    )
    irradiance: FloatVectorProperty(
        name="Light", description="How much light falls on the face in the photo, by colour; negative if unknown",
        size=3, default=(-1.0, -1.0, -1.0),
    )  # fmt: skip
    fov_deg: FloatProperty(name="View angle", description="The photo's horizontal field of view in degrees")
    probe: PointerProperty(
        type=bpy.types.Object, name="Probe", description="The probe that holds the light of the photo at this head"
    )
    quality: StringProperty(name="Quality", description="Quality of the run")
    seed: IntProperty(name="Seed", description="Seed of the run")
    reprojection: FloatProperty(
        name="Fit",
        description="How far the head's features lie from the photo's on average, as a share of the eyes' distance; "
        "negative if unknown",
        default=-1.0,
    )


class ProbeLight(PropertyGroup):
    """What a probe Empty remembers, or the head of a portrait"""

    is_probe: BoolProperty(name="Is a probe", description="This Empty is a Limelight probe")
    radius: FloatProperty(
        name="Radius",
        description="Radius of the sphere that is painted at the probe; it should not touch anything",
        subtype="DISTANCE",
        unit="LENGTH",
        min=1e-4,
        default=0.1,
        update=lambda probe, _context: setattr(probe.id_data, "empty_display_size", probe.radius),
    )
    use: BoolProperty(name="Use", description="Estimate this probe and use its light", default=True)
    environment: PointerProperty(type=bpy.types.Image, name="Environment", description="The estimated HDR environment")
    fill: PointerProperty(
        type=bpy.types.Image, name="Fill", description="The environment without the lights that became lamps"
    )
    truth: PointerProperty(type=bpy.types.Image, name="Truth", description="The panorama rendered from the scene")
    spheres: PointerProperty(type=bpy.types.Image, name="Spheres", description="The painted spheres at all exposures")
    lamps: StringProperty(name="Lamps", description="The concentrated lights found, as JSON", default="[]")
    over_frames: StringProperty(
        name="Over frames", description="Frames, lamps and places of light that changes in time, as JSON; else empty"
    )
    status: StringProperty(name="Status", description="What happened to this probe last")
    seconds: FloatProperty(name="Seconds", description="How long the last estimate took")
    spread: FloatVectorProperty(
        name="Spread",
        description="How far single takes lie apart: brightness in stops, direction in degrees; negative if unknown",
        size=2,
        default=(-1.0, -1.0),
    )
    head: PointerProperty(type=HeadMemory, name="Head", description="What the head of a portrait remembers")
    lit_head: PointerProperty(
        type=bpy.types.Object, name="Lit head",
        description="The head of another file whose photo's light this probe holds; that file's forgets it",
    )  # fmt: skip


class FoundFace(PropertyGroup):
    """A face that was found in an image"""

    points: StringProperty(
        name="Landmarks", description="468 points, u and v in turn from the image's top left, as JSON", default="[]"
    )
    found: StringProperty(name="As found", description="The points before any was moved, as JSON", default="[]")


class RelitImage(PropertyGroup):
    """How an image was relit, and where its faces are"""

    faces: CollectionProperty(type=FoundFace, name="Faces", description="The faces found in it, the largest first")
    face: IntProperty(name="Face", description="Which of the faces becomes a head, counted from 0", min=0)
    light_frames: IntVectorProperty(
        name="Frames", description="First and last frame of the scene at which a sequence of light shows its maps",
        size=2, default=(0, -1),
    )  # fmt: skip
    number: IntProperty(name="Number", description="Counts the results of one picture; 0 is no result", min=0)
    source: PointerProperty(type=bpy.types.Image, name="Source", description="The picture that got other light")
    ratio: PointerProperty(type=bpy.types.Image, name="Light ratio", description="Relit over original, linear")
    reference_type: StringProperty(name="Light from", description="What kind of reference it was")
    reference: PointerProperty(type=bpy.types.Image, name="Reference", description="The picture whose light it got")
    probe: PointerProperty(type=bpy.types.Object, name="Probe", description="The probe whose light it got")
    reference_name: StringProperty(name="Reference's name", description="The reference in words")
    rotation: FloatProperty(name="Rotation", description="How far the reference was turned", subtype="ANGLE")
    strength: FloatProperty(name="Strength", description="How much of the reference's light", subtype="PERCENTAGE")
    quality: StringProperty(name="Quality", description="Quality of the run")
    seed: IntProperty(name="Seed", description="Seed of the run")
    take: IntProperty(name="Take", description="Which candidate it is; 0 is the best")
    model: StringProperty(name="Model", description="Folder of the model; empty is the embedded one")
    reached: FloatProperty(
        name="Reached",
        description="How much of the way to the reference's light was gone, 0 to 1; negative if unknown",
        default=-1.0,
    )


class JobState(PropertyGroup):
    """The estimate that runs now; not saved"""

    running: BoolProperty(name="Running", description="An estimate runs", options={"SKIP_SAVE"})
    kind: StringProperty(name="Kind", description="What kind of job runs or ran last", options={"SKIP_SAVE"})
    fraction: FloatProperty(
        name="Progress",
        description="How far the estimate is",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        options={"SKIP_SAVE"},
    )
    stage: StringProperty(name="Stage", description="What is being done", options={"SKIP_SAVE"})
    eta: FloatProperty(name="Time left", description="Seconds left; negative while unknown", default=-1.0)
    message: StringProperty(name="Message", description="How the last estimate ended", options={"SKIP_SAVE"})
    preview: PointerProperty(type=bpy.types.Image, name="Preview", description="The spheres as painted so far")


CLASSES = (
    *properties_frames.CLASSES,
    *properties_world.CLASSES,
    RelightSettings,
    FaceSettings,
    CaptureSettings,
    SceneSettings,
    HeadMemory,
    ProbeLight,
    FoundFace,
    RelitImage,
    JobState,
)
_POINTERS = (
    (bpy.types.Scene, SceneSettings),
    (bpy.types.Object, ProbeLight),
    (bpy.types.World, WorldLight),
    (bpy.types.Image, RelitImage),
    (bpy.types.WindowManager, JobState),
)


def register() -> None:
    """Register the groups and attach them as ``.limelight``."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for owner, cls in _POINTERS:
        owner.limelight = PointerProperty(type=cls)


def unregister() -> None:
    """Undo :func:`register`."""
    for owner, _cls in reversed(_POINTERS):
        del owner.limelight
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
