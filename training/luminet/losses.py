# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two stages make small (methods.md §3.2 and §3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.luminet.embedded import DARKEST, apply_ratio
from ...backend.luminet.network import LARGEST_RATIO, RATIO_SCALE, LumiNet
from ...backend.optics.exposure import srgb_eotf
from .examples import Batch

#: Weights of the picture's error and of its structure (§3.2), and of the intrinsics' agreement: five times the paper's,
#: with which their cosine across lightings stayed at 0.89.
_MSE, _SSIM, _AGREE = 10.0, 0.1, 0.5
#: Weight and distortion ε² of the coding rate (§3.2).
_RATE, _DISTORTION = 1e-4, 0.04
#: Beyond the paper: codes of the same light in two scenes are told from those of other lights (InfoNCE, van den Oord
#: et al. 2018), as the rig makes the light of two scenes exactly the same.
_CONTRAST, _TEMPERATURE = 0.3, 0.1
#: And they are drawn to the vector that stands for the light: what the rig knows need not be found out.
_TOLD = 1.0
#: How often the target is decoded from its own intrinsics (§3.2), and from the other scene's code of the same light.
_OWN, _FOREIGN = 0.1, 0.6
#: Weight of the log ratio itself beside the picture that it makes.
_RATIO = 0.3


def picture_loss(found: Tensor, truth: Tensor) -> Tensor:
    """10·MSE + 0.1·(1 − SSIM) + mean |difference of gradients| of display pictures (N, 3, S, S)."""
    gradients = sum(((found - truth).diff(dim=d)).abs().mean() for d in (-1, -2))
    return _MSE * F.mse_loss(found, truth) + _SSIM * (1 - _ssim(found, truth)) + gradients


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity over windows of 7 pixels, range 1."""

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, stride=2)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    one, two = 0.01**2, 0.03**2
    return ((2 * ma * mb + one) * (2 * cov + two) / ((ma * ma + mb * mb + one) * (va + vb + two))).mean()


def coding_rate(vectors: Tensor) -> Tensor:
    """log det(I + d/(n ε²) ZᵀZ) of unit vectors Z (n, d): how much of the sphere they fill."""
    count, size = vectors.shape
    # In half precision the matrix would not stay positive.
    with torch.autocast(vectors.device.type, enabled=False):
        gram = vectors.float().T @ vectors.float() * (size / (count * _DISTORTION))
        # Cholesky's factor: a determinant would make a GPU wait.
        root = torch.linalg.cholesky_ex(torch.eye(size, device=vectors.device) + gram).L
        return 2 * root.diagonal().log().sum()


def spread_loss(vectors: Tensor) -> Tensor:
    """Squared difference of the coding rate from that of random directions: codes that collapse are far from it."""
    random = F.normalize(torch.randn_like(vectors), dim=-1)
    return (coding_rate(vectors) - coding_rate(random)).square()


def _contrast(a: Tensor, b: Tensor) -> Tensor:
    # Not a matrix product, which would be of half precision: lights differ by less.
    alike = (a[:, None] * b).sum(-1) / _TEMPERATURE
    which = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(alike, which) + F.cross_entropy(alike.T, which)) / 2


def _chosen(chance: float, a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    """Of each example, all of ``a`` with the given chance, else all of ``b``."""
    which = torch.rand(len(a[0]), device=a[0].device) < chance
    return [torch.where(which.view(-1, *[1] * (x.dim() - 1)), x, y) for x, y in zip(a, b, strict=True)]


class IntrinsicsLoss(nn.Module):
    """First stage: encoder and decoder."""

    def __init__(self, net: LumiNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> Tensor:
        seen = self.net.encoder(torch.cat([batch.source, batch.target, batch.reference]))
        maps = [m.chunk(3) for m in seen.maps]
        _, code, foreign = seen.code.chunk(3)
        shown = _chosen(_OWN, [m[1] for m in maps], [m[0] for m in maps])
        (light,) = _chosen(_FOREIGN, [foreign], [code])
        loss = picture_loss(self.net.decoder(shown, light), batch.target)
        agreement = torch.stack([(m[0] * m[1]).sum(1).mean() for m in maps]).mean()
        deep = seen.maps[-1].movedim(1, -1).flatten(0, -2)
        rate = spread_loss(seen.code) + spread_loss(deep[torch.randperm(len(deep), device=deep.device)[:512]])
        told = 1 - (torch.cat([code, foreign]) * batch.light.repeat(2, 1)).sum(1).mean()
        return loss - _AGREE * agreement + _RATE * rate + _CONTRAST * _contrast(code, foreign) + _TOLD * told


class RatioLoss(nn.Module):
    """Second stage: adaptor and diffusion, on the intrinsics as they are."""

    def __init__(self, net: LumiNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            # A reference is another scene, or, as often, the same one.
            (reference,) = _chosen(0.5, [batch.reference], [batch.target])
            seen = self.net.encoder(torch.cat([batch.source, reference]))
            maps, (own, code) = [m.chunk(2)[0] for m in seen.maps], seen.code.chunk(2)
            guess = self.net.decoder(maps, code)
        truth = true_ratio(batch.source, batch.target)
        t = torch.rand(len(truth), device=truth.device) * (torch.rand(len(truth), device=truth.device) > 0.3)
        blend = t[:, None, None, None]
        noisy = blend * truth / RATIO_SCALE + (1 - blend) * torch.randn_like(truth)
        tokens = self.net.adaptor(code)
        found = self.net.diffusion(noisy, t, batch.source, guess, maps[0], torch.cat([own, code], 1), tokens)
        found = (found * RATIO_SCALE).clamp(-LARGEST_RATIO, LARGEST_RATIO)
        # Where the source is clipped or black, any ratio that shows the target is right.
        told = ((batch.source > 0.03) & (batch.source < 0.99)).float()
        log_error = (F.smooth_l1_loss(found, truth, beta=0.3, reduction="none") * told).sum() / told.sum().clamp(min=1)
        return picture_loss(apply_ratio(batch.source, found), batch.target) + _RATIO * log_error


def true_ratio(source: Tensor, target: Tensor) -> Tensor:
    """Natural logarithm of target over source radiance of display pictures, bounded as the network's."""
    log = [srgb_eotf(p).clamp(min=DARKEST).log() for p in (target, source)]
    return (log[0] - log[1]).clamp(-LARGEST_RATIO, LARGEST_RATIO)
