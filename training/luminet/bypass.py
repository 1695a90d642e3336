# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the bypass decoder on pairs of one scene: target latents and the source's features give the target's pixels.

What the source's features add must hold under another light, as the pair's lights differ. The trained convolutions and
decoder are added to LumiNet's weights (methods.md §3.3).
``python -m limelight.training.luminet.bypass --base FOLDER --data SCENES --out RUN``, after :mod:`.diffusion`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.luminet.diffusion.bypass import DECODER, Bypass, decode, encode, encoder_features
from ...backend.luminet.diffusion.load import load_base
from ...backend.luminet.diffusion.weights import FILE, SIZE
from ...backend.weights import write
from ..resumable import Resumable
from .diffusion import Pairs, pairs_of


@dataclass(frozen=True)
class BypassRecipe:
    """``base``: the base model's folder, with LumiNet's weights in it. ``noise`` is the deviation of what is added to
    the target's latents, as sampled latents are not an encoder's."""

    base: Path
    out: Path
    steps: int = 20_000
    batch: int = 4
    learning_rate: float = 1e-5
    noise: float = 0.05
    seed: int = 0
    device: str = "cpu"
    save_every: int = 1000


class BypassLoss(nn.Module):
    """Mean absolute error of the decoded target; encoder and latents stay as they are."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae, self.bypass = vae.requires_grad_(False), Bypass(vae)
        vae.decoder.requires_grad_(True)

    def forward(self, source: Tensor, target: Tensor, noise: Tensor) -> Tensor:
        """source and target (N, 3, H, W) in [−1, 1], noise (N, C, h, w) in the model's scale of latents."""
        with torch.no_grad():
            seen = encoder_features(self.vae, source)
            latents = encode(self.vae, target) + noise
        return F.l1_loss(decode(self.vae, latents, self.bypass, seen), target)


def train_bypass(recipe: BypassRecipe, pairs: Pairs, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint; returns LumiNet's weights with the bypass in them.

    Raises :class:`BadInput` where the base holds none to add it to.
    """
    if not (recipe.base / FILE).is_file():
        raise BadInput(f"{recipe.base.name} holds no {FILE}.", "Put there what training.luminet.diffusion made.")
    torch.manual_seed(recipe.seed)
    accelerator = Accelerator(cpu=recipe.device == "cpu")
    device = accelerator.device if accelerator.num_processes > 1 else torch.device(recipe.device)
    vae, _, _ = load_base(recipe.base, torch.float32)
    nets = BypassLoss(vae.eval()).to(device)
    loss = accelerator.prepare_model(nets, device_placement=False)
    trained = {name: p for name, p in nets.named_parameters() if p.requires_grad}
    recipe.out.mkdir(parents=True, exist_ok=True)
    state = Resumable(accelerator, trained, recipe.learning_rate, recipe.out / "bypass_checkpoint.safetensors")
    stride = 2 ** (len(vae.config.block_out_channels) - 1)

    def update() -> Tensor:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + state.step)
        source, target = (x * 2 - 1 for x in pairs.draw(recipe.batch, generator))
        shape = (len(target), vae.config.latent_channels, target.shape[-2] // stride, target.shape[-1] // stride)
        noise = recipe.noise * torch.randn(shape, generator=generator)
        mine = slice(accelerator.process_index, None, accelerator.num_processes)
        rows = [x[mine].to(device) for x in (source, target, noise)]
        return state.descend([lambda: loss(*rows)])

    weights = recipe.out / FILE
    state.run(recipe.steps, recipe.save_every, update, lambda: add_bypass(recipe.base / FILE, weights, nets), report)
    return weights


def add_bypass(luminet: Path, path: Path, nets: BypassLoss) -> None:
    """LumiNet's weights with the bypass and its decoder beside the rest, at ``path``."""
    with safe_open(luminet, "pt") as file:
        header = dict(file.metadata() or {})
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state |= {f"bypass.{name}": value for name, value in nets.bypass.state_dict().items()}
    state |= {f"bypass.{DECODER}{name}": value for name, value in nets.vae.decoder.state_dict().items()}
    write(path, state, header)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Train the bypass decoder of the paper-scale LumiNet.")
    for name in ("base", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--steps", type=int, default=BypassRecipe.steps)
    parser.add_argument("--batch", type=int, default=BypassRecipe.batch)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = vars(parser.parse_args())
    pairs = pairs_of(given.pop("data"), given.pop("size"))
    train_bypass(BypassRecipe(**given), pairs)


if __name__ == "__main__":
    main()
