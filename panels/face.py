# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel that makes a head of a portrait, in the 3D viewport's sidebar and in the Image Editor's."""

from bpy.types import Context, Panel, UILayout

from ..operators import previews, state
from ..scene import face, face_problems, heads
from . import columns, wording
from .estimate import draw_running
from .problems import draw_found

CONSENT = "Only faces of people who agreed to it."
#: The kinds of jobs whose progress this panel shows.
KINDS = ("landmarks", "face")


def draw_picture(layout: UILayout, settings, *, image_editor: bool):
    """Which portrait it is."""
    row = layout.row(align=True)
    row.prop(settings, "picture", text="")
    row.operator("limelight.face_picture", text="", icon="FILE_FOLDER")
    if image_editor:
        row.operator("limelight.face_open", text="", icon="IMAGE_DATA")


def draw_faces(layout: UILayout, context: Context, image):
    """What was found in the portrait, which face is meant, what was moved."""
    found = image.limelight.faces
    if not len(found):
        return
    if len(found) > 1:
        row = layout.row(align=True)
        for index in range(len(found)):
            picked = index == face.chosen_index(image)
            row.operator("limelight.face_choose", text=f"Face {index + 1}", depress=picked).index = index
    row = layout.row(align=True)
    row.prop(state.get(context), "show_landmarks", toggle=True, icon="OUTLINER_OB_POINTCLOUD")
    if face.is_edited(face.chosen(image)):
        row.operator("limelight.face_reset", text="Reset", icon="LOOP_BACK")


def draw_head(layout: UILayout, context: Context, head):
    """What one does with the head that is there."""
    box = layout.box().column()
    wording.wrapped(box, context, head.name, icon="USER")
    picture = previews.icon(previews.slot_of(head))
    if picture:
        wording.picture(box, context, picture)
    if head.limelight.head.reprojection >= 0:
        wording.wrapped(box, context, f"Its features lie {head.limelight.head.reprojection * 100:.1f} % of the eyes' "
                                      "distance off the photo's")  # fmt: skip
    column = box.column(align=True)
    column.operator("limelight.face_light", icon="LIGHT_SUN").name = head.name
    column.operator("limelight.face_place", icon="VIEW_CAMERA").name = head.name
    column.operator("limelight.face_export", icon="EXPORT").name = head.name


def draw_face(layout: UILayout, context: Context, *, image_editor: bool):
    """The whole panel."""
    manager, settings = context.window_manager.limelight, context.scene.limelight.face
    if manager.running:
        if manager.kind in KINDS:
            draw_running(layout, context, manager)
        else:
            wording.wrapped(layout, context, "The engine is busy with something else.", icon="SORTTIME")
        return
    wording.wrapped(layout, context, CONSENT, icon="COMMUNITY")
    draw_picture(layout, settings, image_editor=image_editor)
    image = settings.picture
    blocked = draw_found(layout, context, face_problems.find_head_problems(context.scene))
    column = layout.column()
    column.enabled = state.seen(context).checked and not blocked
    column.operator("limelight.face_find", icon="VIEWZOOM")
    if image is not None:
        draw_faces(layout, context, image)
        if len(image.limelight.faces) and not image_editor:
            wording.wrapped(layout, context, "Open the portrait in an Image Editor to check its landmarks.")
        elif len(image.limelight.faces) and context.space_data.image != image:
            wording.wrapped(layout, context, f"Open “{image.name}” here to check its landmarks.")
    layout.row().prop(settings, "quality", expand=True)
    head = heads.shown(context)
    column = layout.column(align=True)
    column.enabled = state.seen(context).checked and not blocked
    row = column.row()
    row.scale_y = 1.6
    row.operator("limelight.face_make", icon="USER")
    if head is not None and head == heads.find(context.scene, image, face.chosen_index(image) if image else 0):
        column.operator("limelight.face_take", icon="FILE_REFRESH").take = settings.seed + 1
    if manager.message and manager.kind in KINDS:
        wording.wrapped(layout, context, manager.message, icon="INFO")
    if head is not None:
        draw_head(layout, context, head)


def draw_details(layout: UILayout, context: Context):
    """Settings that suit most portraits as they are."""
    column = columns.of_settings(layout)
    for name in ("saturation", "fov", "seed", "head_folder"):
        column.prop(context.scene.limelight.face, name)


class LIMELIGHT_PT_face(Panel):
    """Make a head that takes any light of a portrait"""

    bl_idname = "LIMELIGHT_PT_face"
    bl_label = "Face from Photo"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        draw_face(self.layout, context, image_editor=False)


class LIMELIGHT_PT_face_settings(Panel):
    """Details of making a head; the defaults suit most portraits"""

    bl_idname = "LIMELIGHT_PT_face_settings"
    bl_label = "Details"
    bl_parent_id = "LIMELIGHT_PT_face"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        draw_details(self.layout, context)


class LIMELIGHT_PT_face_image(Panel):
    """Check the landmarks of a portrait and make a head of it"""

    bl_idname = "LIMELIGHT_PT_face_image"
    bl_label = "Face from Photo"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        draw_face(self.layout, context, image_editor=True)


class LIMELIGHT_PT_face_image_settings(Panel):
    """Details of making a head; the defaults suit most portraits"""

    bl_idname = "LIMELIGHT_PT_face_image_settings"
    bl_label = "Details"
    bl_parent_id = "LIMELIGHT_PT_face_image"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        draw_details(self.layout, context)


CLASSES = (
    LIMELIGHT_PT_face,
    LIMELIGHT_PT_face_settings,
    LIMELIGHT_PT_face_image,
    LIMELIGHT_PT_face_image_settings,
)
