# SPDX-License-Identifier: GPL-3.0-or-later
"""All maps of a face from the part of its texture that a photo shows: masked guidance of one diffusion over the stack.

Relightify (Papantoniou et al. 2023, eq. 9; methods.md §4.1, §4.3). At each step the network tells the clean maps; what
is known of the texture is replaced by what it would look like at that noise, q(y_t | y), and the rest may be corrected
along −∇‖M ⊙ (y − x̂0)‖ (MCG, Chung et al. 2022). The mask acts on the texture alone: reflectance is nowhere known.
``repeats`` goes back to each noise and comes again (RePaint, Lugmayr et al. 2022). Beyond the paper, the network may be
told the known texture outright, and what a linear model makes of it (``hint``, :mod:`.linear`); without it the model is
unconditional and the guidance does all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..weights import Stamp, opened
from .fill import push_pull
from .linear import TOLD, LinearModel
from .maps import CHANNELS, RESOLUTION, TEXTURE, empty
from .network import GRID, HINT, PATCH, PriorConfig, PriorNet, from_patches, hint_of, to_patches
from .quantised import unpack
from .records import PartialTexture
from .schedule import signal_and_noise, times

WEIGHTS = Path(__file__).resolve().parent / "weights" / "prior_embedded.safetensors"
#: Pixels from the known texture after which a third of its difference from the completion is still carried on.
_FADE = 14.0
#: Pixels a side of the squares in which the two sides of the border are compared.
_NEAR = 5


@dataclass(frozen=True)
class Effort:
    """How maps are found. ``takes`` runs from noise of their own are averaged; ``guidance``: length of the MCG step;
    ``repeats``: how often each step is taken."""

    steps: int
    takes: int = 1
    hint: bool = True
    guidance: float = 0.0
    repeats: int = 1


EFFORTS = {"draft": Effort(1), "normal": Effort(2, takes=4), "high": Effort(4, takes=8)}


class Prior:
    """A trained network with the mean and the deviation (10) of each channel in its training data, and the linear model
    that it begins from."""

    def __init__(
        self, network: PriorNet, mean: Tensor, deviation: Tensor, linear: LinearModel, device: str = "cpu"
    ) -> None:
        self.network, self.device = network.eval().to(device, memory_format=torch.channels_last), device  # type: ignore[call-overload]
        self.mean, self.deviation = (x[:, None, None].to(device) for x in (mean, deviation))
        # Its one small system is solved on the processor before a GPU has loaded the library for it.
        self.linear = linear.to("cpu")

    def complete(
        self,
        known: PartialTexture,
        effort: Effort,
        *,
        seed: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> Tensor:
        """The maps (10, 256, 256) in 0..1 of a face, its known texture in them as it is; of any face if none is known.

        ``progress`` hears of each step and may raise to cancel. The same seed gives the same maps.
        """
        if known.colour.shape != (3, RESOLUTION, RESOLUTION) or known.mask.shape != (1, RESOLUTION, RESOLUTION):
            raise BadInput(
                f"The texture is {tuple(known.colour.shape)} with a mask {tuple(known.mask.shape)}.",
                f"Unwrap the photo at {RESOLUTION} pixels a side.",
            )
        mask = (known.mask[None] > 0.5).float().to(self.device)
        colour = known.colour[None].to(self.device)
        hint = None
        if effort.hint and bool(mask.any()):
            expected = self.linear.expect(known.colour[None].cpu(), mask.cpu()).to(self.device)
            hint = hint_of(self._units(colour), mask, self._units(expected))
        found = self._run(self._units(colour) * mask, mask, hint, effort, seed, progress).mean(0)
        maps = (found * self.deviation + self.mean).clamp(0, 1)
        maps[TEXTURE] = joined(colour[0], maps[TEXTURE], mask[0])
        return maps.cpu()

    def expected(self, known: PartialTexture) -> Tensor:
        """The maps (10, 256, 256) by the linear model alone, flat, the known texture in them: no network is asked."""
        mask, colour = known.mask.cpu(), known.colour.cpu()
        maps = empty(RESOLUTION)
        maps[:TOLD] = self.linear.expect(colour[None], mask[None])[0]
        maps[TEXTURE] = joined(colour, maps[TEXTURE], mask)
        return maps

    def _units(self, maps: Tensor) -> Tensor:
        """The first channels of a stack (N, C, …) in the network's units."""
        return (maps - self.mean[: maps.shape[1]]) / self.deviation[: maps.shape[1]]

    def _run(
        self,
        wanted: Tensor,
        mask: Tensor,
        hint: Tensor | None,
        effort: Effort,
        seed: int,
        progress: Callable[[float], None] | None,
    ) -> Tensor:
        """Clean maps (takes, 10, 256, 256) in the network's units; wanted (1, 3, …) is 0 where mask (1, 1, …) is."""
        chance = torch.Generator().manual_seed(seed)
        shape = (effort.takes, CHANNELS, RESOLUTION, RESOLUTION)
        told = torch.zeros(1, HINT * PATCH**2, GRID, GRID, device=self.device) if hint is None else hint
        told = told.expand(effort.takes, -1, -1, -1)

        def noise() -> Tensor:
            return torch.randn(shape, generator=chance).to(self.device)

        # The known texture keeps one noise all the way, so that it moves on the line that DDIM expects.
        start = noise()
        x, clock = start.clone(), times(effort.steps)
        for step, (t, then) in enumerate(pairwise(clock)):
            for again in reversed(range(effort.repeats)):
                a, s = self._at(t)
                clean, slope = self._predict(x, t, told, wanted, mask, effort.guidance)
                clean[:, TEXTURE] = torch.where(mask > 0, wanted, clean[:, TEXTURE])
                later_a, later_s = self._at(then)
                x = later_a * clean + later_s * (x - a * clean) / s - slope
                x[:, TEXTURE] = torch.where(mask > 0, later_a * wanted + later_s * start[:, TEXTURE], x[:, TEXTURE])
                if again and then > 0:
                    back = (s**2 - (a / later_a * later_s) ** 2).clamp(min=0).sqrt()
                    x = a / later_a * x + back * noise()
            if progress:
                progress((step + 1) / effort.steps)
        return x

    def _at(self, t: float) -> tuple[Tensor, Tensor]:
        return signal_and_noise(torch.tensor(t, device=self.device))

    def _predict(
        self, x: Tensor, t: float, hint: Tensor, wanted: Tensor, mask: Tensor, guidance: float
    ) -> tuple[Tensor, Tensor]:
        """The clean maps that x looks like at t, and the step against the error in the known texture."""
        time = torch.full((len(x),), t, device=self.device)
        with torch.set_grad_enabled(guidance > 0):
            x = x.detach().requires_grad_(guidance > 0)
            clean = from_patches(self.network(to_patches(x), time, hint))
            if guidance <= 0:
                return clean, torch.zeros((), device=self.device)
            error = ((clean[:, TEXTURE] - wanted) * mask).square().sum((1, 2, 3)).sqrt().sum()
            (slope,) = torch.autograd.grad(error, x)
        return clean.detach(), guidance * slope


def joined(known: Tensor, found: Tensor, mask: Tensor) -> Tensor:
    """A texture (3, S, S): ``known`` exactly where mask (1, S, S) is 1, ``found`` elsewhere, without a seam.

    The step across the mask's border, between what lies near it on either side, is carried on into the hidden part and
    fades with the distance.
    """
    near = [F.avg_pool2d(part, _NEAR, 1, _NEAR // 2) for part in (known * mask, mask, found * (1 - mask), 1 - mask)]
    band = ((near[1] > 0) & (near[3] > 0)).float()
    if not bool(band.any()):
        return torch.where(mask > 0, known, found)
    step = near[0] / near[1].clamp(min=1e-6) - near[2] / near[3].clamp(min=1e-6)
    rest = push_pull((step * band)[None], band[None])[0]
    away = torch.from_numpy(distance_transform_edt(mask[0].cpu().numpy() == 0)).float().to(found.device)
    return torch.where(mask > 0, known, (found + rest * torch.exp((1 - away) / _FADE)).clamp(0, 1))


@lru_cache(maxsize=1)
def load_prior(weights: Path = WEIGHTS, device: str = "cpu", made: Stamp = ()) -> Prior:
    """The embedded prior; kept in memory until :func:`unload`. Raises :class:`~..errors.MissingPart`.

    ``made`` is the stamp of ``weights`` that may change while the engine runs.
    """
    with opened(weights, "face", missing="Install the extension again, or train the model.") as file:
        header = file.metadata()
        sizes = json.loads(header["config"])
        network = PriorNet(PriorConfig(**{**sizes, "widths": tuple(sizes["widths"])}))
        state = unpack({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        mean, deviation = state.pop("mean"), state.pop("deviation")
        linear = LinearModel(*(state.pop(f"linear.{name}") for name in ("centre", "basis", "rest")))
        network.load_state_dict(state)
    return Prior(network, mean, deviation, linear, device)


def unload() -> None:
    """Free the network's memory."""
    load_prior.cache_clear()
