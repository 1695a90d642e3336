# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny random networks of the real classes, in folders as LumiNet at the paper's scale comes: seconds on the CPU."""

from __future__ import annotations

import json
import math
from pathlib import Path

import diffusers
import torch
import transformers
from limelight.backend.luminet.diffusion import intrinsics
from limelight.backend.luminet.diffusion.weights import FILE
from limelight.training.luminet.diffusion import Recipe
from safetensors import safe_open
from safetensors.torch import load_file, save_file

SIZE, CONTEXT = 32, 16
SIZES = intrinsics.IntrinsicsConfig(base=8, multipliers=(1, 2, 2, 3), blocks=(1, 1, 1, 1), embedding=16, hint=1)
WIDTHS = (96, 24, 48)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
TEXT = {"hidden_size": CONTEXT, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "vocab_size": len(TOKENS), "bos_token_id": len(TOKENS) - 2, "eos_token_id": len(TOKENS) - 1}  # fmt: skip


def write_text(folder: Path) -> None:
    """A CLIP text encoder and its tokenizer, whose tokens are letters."""
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(settings))
    transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)).save_pretrained(folder / "text_encoder")


def write_vae(folder: Path) -> None:
    widths = (8, 8, 16)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    vae = diffusers.AutoencoderKL(block_out_channels=widths, norm_num_groups=4, latent_channels=4, **blocks)
    vae.save_pretrained(folder / "vae")


def write_base(folder: Path) -> Path:
    """A whole random Stable Diffusion pipeline with v-prediction."""
    torch.manual_seed(7)
    write_text(folder)
    write_vae(folder)
    diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=CONTEXT, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).save_pretrained(folder / "unet")  # fmt: skip
    # Another sampler than DDIM: what counts is its noise schedule.
    schedule = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    diffusers.EulerDiscreteScheduler(prediction_type="v_prediction", **schedule).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


def write_flux(folder: Path) -> Path:
    """A whole random Flux pipeline."""
    torch.manual_seed(8)
    write_text(folder)
    write_vae(folder)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((c, -2.0) for c in LETTERS)]
    transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / "tokenizer_2")
    t5 = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 1, "num_heads": 2, "vocab_size": len(pieces)}
    transformers.T5EncoderModel(transformers.T5Config(**t5)).save_pretrained(folder / "text_encoder_2")
    diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=CONTEXT, axes_dims_rope=(2, 2, 4), guidance_embeds=False,
    ).save_pretrained(folder / "transformer")  # fmt: skip
    diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    return folder


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights as if trained: none is zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        spread = 1 / math.sqrt(max(1, parameter[0].numel()))
        parameter.data += spread * torch.randn(parameter.shape, generator=generator)
    return module


def write_intrinsics(path: Path) -> Path:
    torch.manual_seed(3)
    net = randomise(intrinsics.LatentIntrinsics(SIZES))
    save_file(net.state_dict(), path, {"intrinsics": json.dumps(SIZES.to_dict())})
    return path


def recipe(base: Path, out: Path, **changes) -> Recipe:
    settings = {"base": base, "intrinsics": base.parent / "intrinsics.safetensors", "out": out, "size": SIZE,
                "batch": 2, "adaptor": WIDTHS, "steps": 2}  # fmt: skip
    return Recipe(**{**settings, **changes})


def a_code(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(16, generator=generator), dim=0)


class OnePair:
    """The same view under two lights, again and again."""

    def __init__(self, picture: torch.Tensor) -> None:
        self.picture = picture

    def draw(self, count, generator):
        source = self.picture.expand(count, -1, -1, -1)
        return source, (source * 0.5).flip(1)


def change(folder: Path, edit) -> None:
    """Rewrite LumiNet's weights; ``edit`` changes the tensors and the header in place."""
    tensors = load_file(folder / FILE)
    with safe_open(folder / FILE, "pt") as file:
        header = dict(file.metadata())
    edit(tensors, header)
    save_file(tensors, folder / FILE, header)
