# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the shading of the skin correct what the landmarks say of pose, identity and expression.

Samples stay on the skin (:mod:`.skin_samples`): what the photo shows at each is compared with albedo/π · irradiance, as
logarithms, the photo blurred to about the mesh's fineness. The albedo is one colour times a few waves of brightness,
the light has nine harmonics a channel; both are solved for at each step and eliminated from its normal equations
(variable projection), which the landmarks and the priors complete. A z-buffer says beforehand what shows. Highlights,
cast shadows, beards and whatever hangs over a face weigh little (Cauchy). Neighbouring samples err alike: all of them
count as :data:`COUNT` only.
"""

from __future__ import annotations

import math

import torch
from scipy import ndimage
from torch import Tensor

from ..optics import harmonics
from . import occluders
from .fit_landmarks import POSE, Laid, LandmarkFit, screen_jacobian
from .fit_light import cut_out
from .head import HeadModel
from .raster import uv_places
from .records import FaceFit
from .skin_samples import skin_samples
from .unwrap import look, sample

#: What the samples weigh together, and their usual error, as a natural logarithm.
COUNT, SPREAD = 30.0, 0.08
#: Millimetres of the blur's deviation, and steps with each.
BLURS, STEPS = (3.0, 1.5), 4
#: How much each of the albedo's waves usually varies its logarithm.
WAVE = 0.15
#: How strongly harmonics of degree 0, 1 and 2 are held at zero, against the samples.
_HOLD = torch.tensor((0.0,) + (0.003,) * 3 + (0.01,) * 5)
#: Least shading, as a part of the mean: beyond the terminator smooth light has nothing to say.
_DARKEST = 0.1
#: Damping of the steps, and the longest of the pose's parameters and of the coefficients.
_DAMPING, _FARTHEST, _LARGEST = 1e-3, 0.1, 0.7
#: Rounds in which light, albedo and weights are found: at first, and at each step.
_ROUNDS, _AGAIN = 6, 3
#: By how many times the landmarks' error may grow at most.
_LOST = 1.5
#: Fewer samples than this say nothing.
_FEWEST = 100
#: Texels a side of the map in which occluders are looked for.
_PARSED = 128
#: Of a coefficient, to see how normals bend.
_NUDGE = 0.1


def refine(head: HeadModel, fit: LandmarkFit, laid: Laid, radiance: Tensor, trust: Tensor) -> Laid:
    """``laid`` moved so that the skin's shading in a photo (H, W, 3), linear, is explained as well.

    ``trust`` (P,) in 0..1 of the samples: how far they are seen and free skin.
    """
    if float(trust.sum()) < _FEWEST:
        return laid
    shading, start = Shading(head, fit, laid, radiance, trust), laid
    for blur in BLURS:
        shading.blur(laid, blur)
        for _ in range(STEPS):
            _, gradient, curvature = fit.system(laid)
            pull, stiffness = shading.system(laid)
            step = fit.step(laid, gradient + pull, curvature + stiffness, _DAMPING)
            step[:POSE] = step[:POSE].clamp(-_FARTHEST, _FARTHEST)
            step[POSE:] = step[POSE:].clamp(-_LARGEST, _LARGEST)
            laid = fit.moved(laid, step)
    # Light that is nothing like smooth can mislead; then the landmarks' word stands.
    return laid if float(fit.errors(laid).mean()) < _LOST * float(fit.errors(start).mean()) else start


def free_samples(head: HeadModel, found: FaceFit, radiance: Tensor) -> Tensor:
    """(P,) in 0..1: which samples a photo (H, W, 3) shows, not hidden, not aslant, nothing hanging over them."""
    seen = look(radiance, found, head, _PARSED)
    free = seen.trust * occluders.free_skin(seen.colour, seen.normal, seen.trust > 0.5)
    return sample(free[..., None], uv_places(head, _PARSED)[skin_samples(head).corner])[:, 0]


class Shading:
    """The skin of one photo against the shading of a head that is being fitted to it."""

    def __init__(self, head: HeadModel, fit: LandmarkFit, laid: Laid, radiance: Tensor, trust: Tensor) -> None:
        self.head, self.trust, self.samples = head, trust, skin_samples(head)
        middle = torch.tensor([radiance.shape[1], radiance.shape[0]]) / 2
        self.picture, window, _ = cut_out(fit.seen.float() + middle, radiance)
        self.scale = max(self.picture.shape[:2]) / float(window[2])
        self.origin = window[:2] - middle
        modes = torch.cat([head.identity, head.expression])
        points = self._points(laid)
        # Normals hardly bend with the steps to come: their slopes (M, P, 3) are found once, by differences.
        ahead = self.samples.normals(head, points + _NUDGE * modes)
        self.bend = (ahead - self.samples.normals(head, points)) / _NUDGE
        self.basis = modes[:, self.samples.point].double()
        self.light, self.waves = torch.zeros(harmonics.COUNT, 3), torch.zeros(self.samples.modes.shape[1])
        self.weight = trust
        self.blur(laid, BLURS[0])
        shown, _ = self._look(laid)
        self.light[0] = 2 * math.sqrt(math.pi) * (shown.exp() * trust[:, None]).sum(0) / trust.sum()
        self._explain(shown, self.samples.normals(head, points), _ROUNDS)

    def blur(self, laid: Laid, millimetres: float) -> None:
        """Look at the photo with this blur from now on."""
        pixels = millimetres * 1e-3 * laid.focal / -float(laid.translation[2]) * self.scale
        soft = ndimage.gaussian_filter(self.picture.numpy(), (pixels, pixels, 0), mode="nearest", truncate=3)
        shown = torch.from_numpy(soft).clamp(min=1e-4).log()
        down, right = torch.gradient(shown, dim=(0, 1))
        self.stack = torch.cat([shown, right * self.scale, down * self.scale], -1)

    def system(self, laid: Laid) -> tuple[Tensor, Tensor]:
        """Gradient (P,) and Gauss-Newton matrix (P, P) of what shading adds to :meth:`LandmarkFit.system`."""
        shown, towards = self._look(laid)
        points = self._points(laid)
        normals = self.samples.normals(self.head, points)
        self._explain(shown, normals, _AGAIN)
        expected, lit = self._expected(normals)
        error = (shown - expected.log() - (self.samples.modes @ self.waves)[:, None]).double()
        slope = harmonics.irradiance_slope(self.light, normals) / math.pi * (lit / expected)[..., None]
        jacobian = screen_jacobian(laid, points[self.samples.point].double(), towards.double(), self.basis)
        jacobian[..., POSE:] -= torch.einsum("pcx,mpx->pcm", slope, self.bend)
        scale = COUNT / SPREAD**2 / 3 * self.weight / self.weight.sum()
        return self._eliminated(jacobian, error, self._nuisance(normals, lit / expected), scale.double())

    def _points(self, laid: Laid) -> Tensor:
        return self.head.points(laid.identity.float(), laid.expression.float())

    def _look(self, laid: Laid) -> tuple[Tensor, Tensor]:
        """(P, 3) what the photo shows, as a logarithm, and (P, 3, 2) how it grows by the pixel."""
        place = laid.place(self._points(laid)[self.samples.point].double()).float()
        found = sample(self.stack, (place - self.origin) * self.scale)
        return found[:, :3], torch.stack([found[:, 3:6], found[:, 6:]], -1)

    def _expected(self, normals: Tensor) -> tuple[Tensor, Tensor]:
        """(P, 3): the shading of white skin, and 1 where it is not too dark to say anything, else 0."""
        shade = harmonics.irradiance(self.light, normals) / math.pi
        least = max(_DARKEST * float(self.light[0].mean()) / (2 * math.sqrt(math.pi)), 1e-5)
        return shade.clamp(min=least), (shade > least).float()

    def _explain(self, shown: Tensor, normals: Tensor, rounds: int) -> None:
        """Find light, albedo and weights anew, each given the others."""
        terms, modes = harmonics.irradiance(torch.eye(harmonics.COUNT), normals) / math.pi, self.samples.modes
        for _ in range(rounds):
            expected, _ = self._expected(normals)
            white = (shown - (modes @ self.waves)[:, None]).exp()
            for channel in range(3):
                weighed = terms * (self.weight / expected[:, channel] ** 2)[:, None]
                curvature = weighed.T @ terms
                held = curvature + torch.diag(_HOLD * curvature[0, 0] + 1e-6 * curvature[0, 0])
                self.light[:, channel] = torch.linalg.solve(held, weighed.T @ white[:, channel])
            expected, _ = self._expected(normals)
            left = shown - expected.log()
            weighed = modes * (self.weight / self.weight.sum() * COUNT / SPREAD**2)[:, None]
            stiff = torch.eye(modes.shape[1]) / WAVE**2
            self.waves = torch.linalg.solve(weighed.T @ modes + stiff, weighed.T @ left.mean(-1))
            error = (left - (modes @ self.waves)[:, None]).square().mean(-1)
            self.weight = self.trust / (1 + error / (2 * SPREAD) ** 2) ** 2

    def _nuisance(self, normals: Tensor, relative: Tensor) -> Tensor:
        """(P, 3, 27 + M): how the errors change with the light, channel by channel, and with the waves."""
        terms = harmonics.irradiance(torch.eye(harmonics.COUNT), normals) / math.pi
        light = -torch.einsum("ph,pc,cd->pcdh", terms, relative, torch.eye(3)).flatten(2)
        return torch.cat([light, -self.samples.modes[:, None].expand(-1, 3, -1)], -1).double()

    def _eliminated(self, jacobian: Tensor, error: Tensor, nuisance: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient and matrix of the head's parameters, whatever best fits the ``nuisance`` taken for granted."""
        rows, side, wrong = jacobian.flatten(0, 1), nuisance.flatten(0, 1), error.flatten()
        weighed, own = ((scale[:, None, None] * part).flatten(0, 1) for part in (jacobian, nuisance))
        mixed, inner = weighed.T @ side, own.T @ side
        strength = inner.diagonal()[: 3 * harmonics.COUNT : harmonics.COUNT].repeat_interleave(harmonics.COUNT)
        hold = torch.cat([_HOLD.double().repeat(3) * strength + 1e-6 * strength, _stiff(self.waves)])
        pull = own.T @ wrong + hold * torch.cat([self.light.T.flatten(), self.waves]).double()
        found = torch.linalg.solve(inner + torch.diag(hold), torch.cat([mixed.T, pull[:, None]], 1))
        return weighed.T @ wrong - mixed @ found[:, -1], weighed.T @ rows - mixed @ found[:, :-1]


def _stiff(waves: Tensor) -> Tensor:
    return torch.full_like(waves, WAVE**-2, dtype=torch.float64)
