# SPDX-License-Identifier: GPL-3.0-or-later
"""What weights were trained to be told: the signs of the condition maps, the words, the exposures, the noise shift.

Ours follow the paper. The weights that LIMO's authors released follow their code, which differs (methods.md §1.3–1.6),
and the image model's from the video model's. A file of weights names its convention in its header.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...optics.exposure import EVS, srgb_oetf

#: The paper's words for the two spheres (methods.md §1.4).
SPHERES = {"mirror": "Metallic sphere", "diffuse": "Diffuse sphere"}
#: The darkest exposure that the released image model's prompts count from.
_FIRST_EV = -12


@dataclass(frozen=True)
class Convention:
    """How weights want to be asked.

    ``toward``: the direction map points at the probe, not away from it. ``mirrored``: on the sphere it holds the
    reflected view ray. ``forward``: z of directions points into the picture, else at the camera; ``normals_forward``
    likewise for normals. ``black``: the sphere is black in the picture, not grey. ``chained``: a prompt holds those of
    all darker exposures before it. ``shift`` replaces the scheduler by flow matching with that shift of the times.
    """

    name: str
    toward: bool = False
    mirrored: bool = True
    forward: bool = False
    normals_forward: bool = False
    black: bool = False
    chained: bool = False
    evs: tuple[int, ...] = EVS
    shift: float | None = None

    def wording(self, sphere: str, ev: int) -> str:
        """The prompt of one query, e.g. ``Metallic sphere [EV-3]``."""
        evs = range(_FIRST_EV, ev + 1) if self.chained else (ev,)
        return " ".join([SPHERES[sphere], *(f"[EV{each}]" for each in evs)])

    def pictured(self, picture: Tensor, on: Tensor) -> Tensor:
        """The photo's map (H, W, 3) in [−1, 1] with the sphere (H, W, 1) painted out."""
        if not self.black:
            return picture
        return torch.where(on, 2 * srgb_oetf(torch.tensor(1e-4)) - 1, picture)

    def directed(self, direction: Tensor, offset: Tensor, on: Tensor) -> Tensor:
        """The direction map (H, W, 3) out of ours: ``offset`` is the unit direction from the probe, on the sphere too.

        ``direction`` is ours: that offset off the sphere, and the reflected view ray ``on`` it (H, W, 1).
        """
        found = direction if self.mirrored else torch.where(on, offset, direction)
        return _turned(-found if self.toward else found, self.forward)

    def faced(self, normals: Tensor) -> Tensor:
        """The normals' map (H, W, 3) out of ours."""
        return _turned(normals, self.normals_forward)


def _turned(vectors: Tensor, forward: bool) -> Tensor:
    return vectors * vectors.new_tensor([1.0, 1.0, -1.0]) if forward else vectors


PAPER = Convention("paper")
#: Released FLUX weights: no reflection on the sphere, prompts chained by an accident of their code, no EV −12.
LIMO_IMAGE = Convention(
    "limo-image", toward=True, mirrored=False, forward=True, black=True, chained=True, evs=(0, -3, -6, -9)
)
#: Released Wan2.2 weights: all of the paper's direction map negated; sampled with noise times shifted by 5.
LIMO_VIDEO = Convention("limo-video", toward=True, forward=True, normals_forward=True, black=True, shift=5.0)
CONVENTIONS = {each.name: each for each in (PAPER, LIMO_IMAGE, LIMO_VIDEO)}
