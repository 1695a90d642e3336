# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding Gaussians where they are missing and removing those that do nothing, as 3D Gaussian Splatting does.

And what 3DGS-DR does to let mirror-like surfaces find their normals (methods.md §5.4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..raster.dense import rotations
from .learnt import GAUSSIANS, Learnt
from .parameters import logit

#: Mean length of the gradient of a projected position, in units of half the picture's width, that asks for more.
THRESHOLD = 2e-4
_SMALL, _LARGE = 0.01, 0.1
_FAINT = 0.005
_SHRINK = 1.6
#: Progress from which a Gaussian counts as a mirror, and below which its colour is sabotaged.
_MIRROR, _DULL = 0.02, 0.05
_SOLID, _RESET = 0.9, 0.01


class Density:
    """Keeps watch over a cloud's projected gradients: ``total`` and ``seen`` (N,)."""

    def __init__(self, learnt: Learnt, most: int) -> None:
        self._most = most
        self.total = self.seen = torch.zeros(0)
        self.forget(learnt)

    def forget(self, learnt: Learnt) -> None:
        """Start anew, after the cloud changed."""
        means = learnt.values["means"]
        self.total, self.seen = means.new_zeros(learnt.count), means.new_zeros(learnt.count)

    def watch(self, gradient: Tensor, drawn: Tensor, width: int) -> None:
        """Remember the gradient (N, 2), by pixels, of the positions of those that were ``drawn``."""
        self.total += gradient.norm(dim=-1) * (width / 2) * drawn
        self.seen += drawn

    def refine(self, learnt: Learnt, extent: float, prune_large: bool) -> None:
        """Clone the small and split the large where gradients ask for it; remove the faint and the huge."""
        values = {name: learnt.values[name].detach() for name in GAUSSIANS}
        size = values["scales"].amax(-1).exp()
        wanted = self._asked(learnt.count)
        small = wanted & (size <= _SMALL * extent)
        large = wanted & (size > _SMALL * extent)
        clones = {name: value[small] for name, value in values.items()}
        halves = _split({name: value[large] for name, value in values.items()})
        kept = ~large & (torch.sigmoid(values["opacity"]) > _FAINT)
        if prune_large:
            kept &= size < _LARGE * extent
        learnt.change(kept, {name: torch.cat([clones[name], halves[name]]) for name in GAUSSIANS})
        self.forget(learnt)

    def _asked(self, count: int) -> Tensor:
        """(N,) bool: the Gaussians above the threshold, the strongest if room is short."""
        mean = self.total / self.seen.clamp(min=1)
        room = max(0, self._most - count)
        wanted = mean > THRESHOLD
        if int(wanted.sum()) > room:
            strongest = torch.zeros_like(wanted)
            strongest[mean.topk(room).indices] = True
            wanted &= strongest
        return wanted


def _split(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Two smaller Gaussians for each, drawn from it."""
    scales = values["scales"].exp().repeat(2, 1)
    turn = rotations(torch.nn.functional.normalize(values["quats"], dim=-1)).repeat(2, 1, 1)
    offset = (turn @ (torch.randn_like(scales) * scales)[..., None])[..., 0]
    twice = {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in values.items()}
    return {**twice, "means": twice["means"] + offset, "scales": (scales / _SHRINK).log()}


def fade(learnt: Learnt) -> None:
    """Make all faint, so that only what is needed grows back."""
    opacity = learnt.values["opacity"].detach()
    learnt.put("opacity", opacity.clamp(max=float(logit(torch.tensor(_RESET)))))


def propagate(learnt: Learnt) -> None:
    """Let mirrors spread: all turn solid, mirrors grow along the surface, and the colour of the dull is sabotaged,
    so that a neighbour's good normal explains a reflection before raw colour does."""
    opacity, progress = learnt.values["opacity"].detach(), torch.sigmoid(learnt.values["progress"].detach())
    learnt.put("opacity", opacity.clamp(min=float(logit(torch.tensor(_SOLID)))))
    scales = learnt.values["scales"].detach()
    along = torch.ones_like(scales, dtype=torch.bool).scatter(-1, scales.argmin(-1, keepdim=True), False)
    grown = scales + float(torch.tensor(1.5).log()) * (along & (progress >= _MIRROR)[:, None])
    learnt.put("scales", grown)
    base = learnt.values["sh_base"].detach()
    noise = (torch.rand_like(base) - 0.5) * 0.8
    learnt.put("sh_base", base + noise * (progress < _DULL)[:, None, None])
