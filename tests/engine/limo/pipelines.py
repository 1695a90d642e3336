# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole random pipelines in diffusers' layout, small enough that every path runs in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import diffusers
import torch
import transformers

FAMILIES = ("sd", "sdxl", "flux")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789[]-"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")
TOKENS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), *SPECIAL]
START, END = (TOKENS.index(token) for token in SPECIAL)
TEXT = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "vocab_size": len(TOKENS), "bos_token_id": START, "eos_token_id": END}  # fmt: skip


def write_clip_tokenizer(folder: Path) -> None:
    """The files that Stable Diffusion's repositories hold; every letter is a token."""
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_texts(folder: Path, family: str) -> None:
    """Text encoders and tokenizers of a family."""
    write_clip_tokenizer(folder / "tokenizer")
    first = transformers.CLIPTextConfig(**TEXT, projection_dim=12)
    transformers.CLIPTextModel(first).save_pretrained(folder / "text_encoder")
    if family == "sdxl":
        write_clip_tokenizer(folder / "tokenizer_2")
        transformers.CLIPTextModelWithProjection(first).save_pretrained(folder / "text_encoder_2")
    if family == "flux":
        write_t5(folder, "_2")


def write_t5(folder: Path, suffix: str = "", model: type = transformers.T5EncoderModel) -> None:
    """A T5 encoder and its tokenizer, a piece a letter; FLUX's is the second of two, Wan's a UMT5 and alone."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((c, -2.0) for c in LETTERS + "MDSEV")]
    transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / f"tokenizer{suffix}")
    sizes = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 1, "num_heads": 2, "vocab_size": len(pieces)}
    model(model.config_class(**sizes)).save_pretrained(folder / f"text_encoder{suffix}")


def unet(family: str) -> diffusers.UNet2DConditionModel:
    extra = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4,
             "projection_class_embeddings_input_dim": 12 + 6 * 4} if family == "sdxl" else {}  # fmt: skip
    return diffusers.UNet2DConditionModel(
        sample_size=32, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
        cross_attention_dim=32 if family == "sdxl" else 16, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **extra,
    )  # fmt: skip


def write_pipeline(folder: Path, family: str, *, dynamic: bool = False) -> Path:
    """A whole random pipeline. ``dynamic`` is for Flux: shifted times and embedded guidance, as FLUX.1-dev has."""
    torch.manual_seed(7)
    if family == "wan":
        return write_wan(folder)
    name = {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline", "flux": "FluxPipeline"}[family]
    index = {"_class_name": name, "vae": ["diffusers", "AutoencoderKL"]}
    write_texts(folder, family)
    vae = {"block_out_channels": (8, 16), "norm_num_groups": 4, "latent_channels": 4, "sample_size": 64}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    shift = {"shift_factor": 0.1, "scaling_factor": 0.4} if family == "flux" else {}
    diffusers.AutoencoderKL(**vae, **blocks, **shift).save_pretrained(folder / "vae")
    if family == "flux":
        index["transformer"] = ["diffusers", "FluxTransformer2DModel"]
        sizes = {"in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 8,
                 "num_attention_heads": 2, "joint_attention_dim": 16, "pooled_projection_dim": 16,
                 "axes_dims_rope": (2, 2, 4), "guidance_embeds": dynamic}  # fmt: skip
        diffusers.FluxTransformer2DModel(**sizes).save_pretrained(folder / "transformer")
        diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=dynamic).save_pretrained(
            folder / "scheduler"
        )
    else:
        index["unet"] = ["diffusers", "UNet2DConditionModel"]
        unet(family).save_pretrained(folder / "unet")
        diffusers.EulerAncestralDiscreteScheduler(beta_schedule="scaled_linear").save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_wan(folder: Path) -> Path:
    """A clip model as Wan2.2-TI2V-5B is built: pictures patched before a causal VAE of stride 16, 4 in time."""
    write_t5(folder, model=transformers.UMT5EncoderModel)
    diffusers.AutoencoderKLWan(
        base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, in_channels=12, out_channels=12, patch_size=2,
        scale_factor_spatial=16, is_residual=True, latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[0.5, 0.8, 1.0, 1.5],
    ).save_pretrained(folder / "vae")  # fmt: skip
    diffusers.WanTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=12, text_dim=16, freq_dim=8,
        ffn_dim=24, num_layers=2,
    ).save_pretrained(folder / "transformer")  # fmt: skip
    settings = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 5.0}
    diffusers.UniPCMultistepScheduler(**settings).save_pretrained(folder / "scheduler")
    index = {"_class_name": "WanPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
