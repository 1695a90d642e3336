# SPDX-License-Identifier: GPL-3.0-or-later
"""Text encoders of every family: prompts to embeddings, once; the encoders are freed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .parts import part
from .prompts import Text

#: Length of T5's input: of FLUX's in LIMO (methods.md §1.4), of Wan's in its own pipeline.
_FLUX_TOKENS, _WAN_TOKENS = 77, 512


def encode(family: str, folder: Path, prompts: Sequence[str], dtype: torch.dtype, device: str) -> Text:
    """Embed prompts as the family's own pipeline does."""
    import transformers as tf

    tf.utils.logging.disable_progress_bar()

    def run(kind: Any, tokens: Any, suffix: str, length: int | None = None, masked: bool = False) -> Any:
        tokenizer = part(tokens, folder, f"tokenizer{suffix}")
        encoder = part(kind, folder, f"text_encoder{suffix}", dtype=dtype, use_safetensors=True).to(device).eval()
        length = length or tokenizer.model_max_length
        options = {"padding": "max_length", "max_length": length, "truncation": True, "return_tensors": "pt"}
        told = tokenizer(list(prompts), **options).to(device)
        mask = {"attention_mask": told.attention_mask} if masked else {}
        with torch.no_grad():
            found = encoder(told.input_ids, output_hidden_states=family == "sdxl", **mask)
        # What stands behind a prompt's end is zero for Wan, not whatever the encoder makes of padding.
        return found[0] * told.attention_mask[..., None].to(found[0]) if masked else found

    if family == "wan":
        return Text(run(tf.UMT5EncoderModel, tf.T5Tokenizer, "", _WAN_TOKENS, masked=True), None)
    if family == "flux":
        pooled = run(tf.CLIPTextModel, tf.CLIPTokenizer, "").pooler_output
        return Text(run(tf.T5EncoderModel, tf.T5Tokenizer, "_2", _FLUX_TOKENS)[0], pooled)
    if family == "sdxl":
        first = run(tf.CLIPTextModel, tf.CLIPTokenizer, "")
        second = run(tf.CLIPTextModelWithProjection, tf.CLIPTokenizer, "_2")
        return Text(torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds)
    return Text(run(tf.CLIPTextModel, tf.CLIPTokenizer, "")[0], None)
