# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded sphere painter: samples the small flow-matching network on CPU or GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...devices import autocast
from ...optics.exposure import EVS, expose, luminance, srgb_eotf, srgb_oetf
from ...optics.sphere import SphereView
from ...weights import opened, parameters
from ..painter import Spheres, Spread
from ..view import Probe, View
from .encode import CROP, RADIANCE_CHANNELS, Inputs, decode_radiance, encode, encode_radiance, from_code, to_code
from .model import PainterConfig, SphereUNet
from .over_time import AROUND, NEIGHBOURS, Frame, mixed

#: A frame of a sequence has about so many times fewer takes than a single picture, in pairs.
FEWER = 4
WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "limo_embedded.safetensors"


@lru_cache(maxsize=2)
def load_network(weights: Path = WEIGHTS, device: str = "cpu") -> SphereUNet:
    """The network with its trained weights, ready to run; kept in memory until :func:`unload`."""
    with opened(weights, "LIMO", missing="Install the extension again, or train the model.") as file:
        sizes = json.loads(file.metadata()["config"])
        sizes["widths"] = tuple(sizes["widths"])
        network = SphereUNet(PainterConfig(**sizes))
        network.load_state_dict(parameters(file))
    return network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def unload() -> None:
    """Free the network's memory."""
    load_network.cache_clear()


def shifted(t: Tensor) -> Tensor:
    """Flow times (...) in [0, 1], pushed towards the noise end, where brightness and layout are decided.

    The shift of Esser et al. 2024, §5.3.2, with factor 3: averages over a 64-pixel sphere see through noise that
    hides single pixels, so times near 1 need more of the training and of the sampler's steps.
    """
    return 3 * t / (1 + 2 * t)


def sample_flow(
    network: SphereUNet,
    sphere: Tensor,
    context: Tensor,
    *,
    steps: int,
    noise: Tensor,
    progress: Callable[[float], None] = lambda fraction: None,
    black: Tensor | None = None,
) -> Tensor:
    """Integrate the flow from noise (t = 1) to the spheres (t = 0) with Heun's method.

    sphere (B, 18, 64, 64), context (B or 1, 11, 128, 128), unit noise (B, 6, 64, 64); returns the spheres' code, alike.
    ``black`` is the code off the sphere, by default that of no radiance.
    """
    device = sphere.device
    times = shifted(torch.linspace(1, 0, steps + 1, device=device))
    on = sphere[:, :1] > 0
    black = to_code(torch.full_like(noise, -1.0)) if black is None else black
    x = noise
    with torch.inference_mode(), autocast(device):
        tokens = network.encode_context(context).expand(len(noise), -1, -1)

        def flow_at(x: Tensor, t: Tensor) -> Tensor:
            # Off the sphere the answer is known (black), and training showed the network nothing else there.
            flow = network(x, t.expand(len(x)), sphere, tokens).float()
            return torch.where(on, flow, noise - black)

        for i in range(steps):
            now, after = times[i], times[i + 1]
            flow = flow_at(x, now)
            if i < steps - 1:
                flow = (flow + flow_at(x + (after - now) * flow, after)) / 2
            x = x + (after - now) * flow
            progress((i + 1) / steps)
    return x


def opposite_noise(takes: int, seed: int) -> Tensor:
    """Unit noise (takes, 6, 64, 64) in pairs n, −n: what a spheres' average owes to chance mostly cancels."""
    generator = torch.Generator().manual_seed(seed)
    halves = [torch.randn(RADIANCE_CHANNELS, CROP, CROP, generator=generator) for _ in range((takes + 1) // 2)]
    return torch.stack([noise for half in halves for noise in (half, -half)])[:takes]


def mean_of_takes(codes: Tensor) -> Tensor:
    """What takes (T, 6, S, S) show on average, (6, S, S), all in encoded radiance.

    The mirror's mean is that of display values, in which pictures are compared; the diffuse sphere's that of radiance,
    in which it is linear. A mean of the logarithm would lose the lamps that only some of the takes have.
    """
    mirror, diffuse = decode_radiance(codes).split(3, 1)
    return encode_radiance(torch.cat([srgb_eotf(srgb_oetf(mirror).mean(0)), diffuse.mean(0)]))


def spread_of(radiance: Tensor, close_up: SphereView) -> Spread:
    """How far the diffuse spheres (T, 3, S, S) of several takes lie apart."""
    shown = luminance(radiance.permute(0, 2, 3, 1))[:, close_up.mask].clamp(min=1e-6)
    stops = shown.mean(1).log2()
    towards = F.normalize(shown @ close_up.normals[close_up.mask], dim=-1)
    cosine = towards @ F.normalize(towards.mean(0), dim=0)
    angles = torch.rad2deg(cosine.clamp(-1, 1).acos())
    return Spread(float(stops.std()), float(angles.square().mean().sqrt()))


def _shown(codes: Tensor, mean: Tensor, close_up: SphereView, exposures: Sequence[int]) -> Spheres:
    """The bracket of a mean code (6, S, S), and how far its takes (T, 6, S, S) lie apart."""
    radiance = decode_radiance(mean).permute(1, 2, 0) * close_up.mask[..., None]
    spread = spread_of(decode_radiance(codes[:, 3:]), close_up) if len(codes) > 1 else None
    mirror, diffuse = torch.stack([expose(radiance, ev) for ev in exposures]).split(3, -1)
    return Spheres(close_up, mirror, diffuse, tuple(exposures), spread)


class EmbeddedPainter:
    """Paints both spheres at 64 pixels; a :class:`limelight.backend.limo.painter.SpherePainter`.

    ``takes`` samples are drawn per probe and averaged (:func:`mean_of_takes`). One take shows detail, and lamps, that
    are made up; the average of many shows what the picture tells. ``take`` paints that one alone, counted from 1.
    """

    def __init__(self, device: str = "cpu", weights: Path = WEIGHTS, takes: int = 1, take: int = 0) -> None:
        self.device, self.weights, self.takes, self.take = device, weights, takes, take
        # What was sampled for frames, by view and probe: the next part of a sequence needs its neighbours again.
        self._sampled_frames: dict[tuple[Any, ...], tuple[View, Tensor, Frame]] = {}

    def paint(
        self,
        view: View,
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 6,
        seed: int = 0,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SpherePainter.paint`."""
        network = load_network(self.weights, self.device)
        painted = []
        for index, probe in enumerate(probes):

            def tell(fraction: float, done: float = index / len(probes)) -> None:
                progress(done + fraction / len(probes))

            codes = self._codes(network, encode(view, probe), steps, seed, tell)
            close_up = SphereView(probe.position, probe.radius, CROP)
            painted.append(_shown(codes, mean_of_takes(codes), close_up, exposures))
        return painted

    @property
    def reach(self) -> int:
        """See :class:`limelight.backend.limo.painter.SequencePainter`."""
        return NEIGHBOURS + AROUND

    def paint_frames(
        self,
        views: Sequence[View],
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int = 6,
        seed: int = 0,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> list[Spheres]:
        """See :meth:`limelight.backend.limo.painter.SequencePainter.paint_frames`.

        All frames start from the same noise, and their spheres are mixed with those of their neighbours, so that a
        part of a single picture's takes is enough for each.
        """
        network = load_network(self.weights, self.device)
        noise = opposite_noise(self.take or 2 * max(1, round(self.takes / (2 * FEWER))), seed)
        wanted = {id(view) for view in views}
        self._sampled_frames = {key: kept for key, kept in self._sampled_frames.items() if key[0] in wanted}
        frames, codes = [], []
        for index, (view, probe) in enumerate(zip(views, probes, strict=True)):

            def tell(fraction: float, done: int = index) -> None:
                progress((done + fraction) / len(views))

            key = (id(view), *probe.position.tolist(), probe.radius, steps, seed)
            if key not in self._sampled_frames:
                inputs = encode(view, probe)
                code = self._sampled(network, inputs, steps, noise[-1:] if self.take else noise, tell)
                self._sampled_frames[key] = (view, code, Frame.of(view, probe, inputs))
            else:
                tell(1.0)
            _, code, frame = self._sampled_frames[key]
            codes.append(code)
            frames.append(frame)
        means = mixed(torch.stack([mean_of_takes(code) for code in codes]), frames)
        balls = [SphereView(probe.position, probe.radius, CROP) for probe in probes]
        return [_shown(code, mean, ball, exposures) for code, mean, ball in zip(codes, means, balls, strict=True)]

    def _codes(
        self, network: SphereUNet, inputs: Inputs, steps: int, seed: int, progress: Callable[[float], None]
    ) -> Tensor:
        """Encoded radiance (T, 6, S, S) of every take."""
        wanted = opposite_noise(self.take or self.takes, seed)
        return self._sampled(network, inputs, steps, wanted[-1:] if self.take else wanted, progress)

    def _sampled(
        self, network: SphereUNet, inputs: Inputs, steps: int, noise: Tensor, progress: Callable[[float], None]
    ) -> Tensor:
        """Encoded radiance (T, 6, S, S) from unit noise, alike."""
        layout = torch.channels_last
        noise = noise.to(self.device, memory_format=layout)
        sphere = inputs.sphere[None].expand(len(noise), -1, -1, -1).to(self.device, memory_format=layout)
        context = inputs.context[None].to(self.device, memory_format=layout)
        code = sample_flow(network, sphere, context, steps=steps, noise=noise, progress=progress)
        return from_code(code).cpu()
