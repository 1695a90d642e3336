# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of MediaPipe's 468 landmarks make up which feature of a face, to draw them and to take hold of them."""

from __future__ import annotations

COUNT = 468

#: Each feature as a line through landmarks; left and right are the face's own.
LINES: dict[str, tuple[int, ...]] = {
    "outline": (
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
        *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
    ),
    "right eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33),
    "left eye": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263),
    "right brow, below": (46, 53, 52, 65, 55),
    "right brow, above": (70, 63, 105, 66, 107),
    "left brow, below": (276, 283, 282, 295, 285),
    "left brow, above": (300, 293, 334, 296, 336),
    "bridge of the nose": (168, 6, 197, 195, 5, 4, 1, 19, 94, 2),
    "wings of the nose": (48, 115, 220, 45, 4, 275, 440, 344, 278),
    "below the nose": (48, 64, 98, 97, 2, 326, 327, 294, 278),
    "lips, outside": (
        *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        *(409, 270, 269, 267, 0, 37, 39, 40, 185, 61),
    ),
    "lips, inside": (
        *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
        *(415, 310, 311, 312, 13, 82, 81, 80, 191, 78),
    ),
}
#: The landmarks that are drawn as points and can be dragged; the others follow.
HANDLES: tuple[int, ...] = tuple(sorted({index for line in LINES.values() for index in line}))
