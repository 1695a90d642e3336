# SPDX-License-Identifier: GPL-3.0-or-later
"""What the depth network is trained on: log depth whatever its scale, edges, the scale, sky, lens and horizon."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.depth.network import FOCAL_BINS, Answer, focal_of
from .batch import Batch

#: Depths count within these limits, metres.
NEAREST, FARTHEST = 0.1, 200.0
#: Strides at which changes between neighbours are compared, and weights of the parts.
STRIDES = (1, 2, 4, 8)
EDGES, SCALE, SKY, FOCAL, UP = 0.5, 0.3, 0.3, 0.15, 1.0
#: Width of the label around the true focal length, in log.
_SOFT = 0.09


def depth_loss(answer: Answer, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum, and its parts before weighing; each is a mean over the pictures that have the label."""
    parts = {}
    seen = torch.isfinite(batch.depth) & (batch.depth > 0)
    truth = torch.where(seen, batch.depth, 1.0).clamp(NEAREST, FARTHEST).log()
    mask, count = seen.float(), seen.flatten(1).sum(1)
    usable = (count > 32).float()

    def mean(values: Tensor, weights: Tensor) -> Tensor:
        return (values * weights).sum() / weights.sum().clamp(min=1)

    offset = ((answer.shape - truth) * mask).sum((1, 2)) / count.clamp(min=1)
    residual = (answer.shape - truth - offset[:, None, None]) * mask
    parts["shape"] = mean(residual.abs().sum((1, 2)) / count.clamp(min=1), usable)
    parts["edges"] = torch.stack([_changes(residual, mask, stride) for stride in STRIDES]).sum()
    parts["scale"] = mean(F.smooth_l1_loss(answer.scale, -offset.detach(), beta=0.3, reduction="none"), usable)
    known = ~torch.isnan(batch.depth)
    sky = F.binary_cross_entropy_with_logits(answer.sky, torch.isinf(batch.depth).float(), reduction="none")
    parts["sky"] = mean(sky, known.float())
    label = torch.exp(-(((batch.focal[:, None] - FOCAL_BINS.to(batch.focal)) / _SOFT) ** 2) / 2)
    label = label / label.sum(1, keepdim=True).clamp(min=1e-6)
    found, _ = focal_of(answer.focal)
    entropy = -(label * F.log_softmax(answer.focal, -1)).sum(-1)
    parts["focal"] = mean(entropy + 3 * (found - batch.focal).abs(), 1 - batch.known)
    parts["up"] = (answer.up - batch.up).square().sum(-1).add(1e-6).sqrt().mean()
    total = parts["shape"] + EDGES * parts["edges"] + SCALE * parts["scale"] + SKY * parts["sky"]
    return total + FOCAL * parts["focal"] + UP * parts["up"], parts


def _changes(residual: Tensor, mask: Tensor, stride: int) -> Tensor:
    """Mean |difference| of neighbours ``stride`` apart, both seen, of a residual (B, H, W), per √stride."""
    total = residual.new_zeros(())
    for axis in (1, 2):
        size = residual.shape[axis] - stride
        both = mask.narrow(axis, 0, size) * mask.narrow(axis, stride, size)
        change = (residual.narrow(axis, stride, size) - residual.narrow(axis, 0, size)).abs() * both
        total = total + change.sum() / both.sum().clamp(min=1)
    return total / math.sqrt(stride)
