# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder of the paper-scale LumiNet may hold, must hold and must not."""

import json
import shutil

import diffusers
import pytest
import torch
from limelight.backend.errors import LimelightError, MissingPart
from limelight.backend.limo.backbone import prompts
from limelight.backend.luminet.diffusion import adaptor, bypass, load, memory
from limelight.backend.luminet.diffusion.weights import FILE
from limelight.tests.engine.luminet.diffusion.tiny import CONTEXT, SIZE, SIZES, a_code, change
from safetensors.torch import load_file


def test_a_bypass_and_its_decoder_load_beside_the_rest(folder, picture):
    plain = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    vae = diffusers.AutoencoderKL.from_pretrained(folder / "vae")
    net = bypass.Bypass(vae)
    change(folder, lambda t, h: t.update({f"bypass.{k}": v for k, v in net.state_dict().items()}))
    load.unload()
    zero = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    assert torch.allclose(zero.ratio, plain.ratio, atol=1e-4)
    added = {f"bypass.decoder.{k}": v + 0.02 for k, v in vae.decoder.state_dict().items()}
    change(folder, lambda t, h: t.update(added))
    load.unload()
    trained = load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0])
    assert not torch.allclose(trained.ratio, plain.ratio, atol=1e-3)
    change(folder, lambda t, h: t.pop("bypass.inputs.1.bias"))
    load.unload()
    with pytest.raises(MissingPart, match=r"lacks the tensor 'bypass.inputs.1.bias'"):
        load.load_relighter(folder)


def test_the_empty_prompt_is_stored_or_embedded_once(folder, picture, monkeypatch):
    stored = load.load_relighter(folder).networks.prompt
    load.unload()
    change(folder, lambda t, h: t.pop("empty_prompt"))
    embedded = load.load_relighter(folder).networks.prompt
    assert torch.allclose(stored, embedded, atol=1e-6) and (folder / prompts.CACHE).is_file()
    load.unload()
    monkeypatch.setattr(load, "embed", lambda *_: pytest.fail("embedded again"))
    assert torch.equal(load.load_relighter(folder).networks.prompt, embedded)


def test_a_stored_prompt_needs_no_text_encoder(folder, picture):
    shutil.rmtree(folder / "text_encoder")
    shutil.rmtree(folder / "tokenizer")
    assert load.load_relighter(folder).relight(picture, a_code(0), steps=1, seeds=[0]).ratio.shape[0] == 1


def test_the_released_number_of_layers_loads_too(folder):
    net = adaptor.Adaptor((96, 24, 24, 48), CONTEXT)

    def edit(tensors, header):
        for name in [name for name in tensors if name.startswith("adaptor.")]:
            del tensors[name]
        tensors |= {f"adaptor.{2 * int(n.split('.')[1])}.{n.split('.')[2]}": v for n, v in net.state_dict().items()}

    change(folder, edit)
    loaded = load.load_relighter(folder).networks.adaptor
    assert len(loaded.layers) == 3 and torch.allclose(loaded(a_code(0)[None]), net(a_code(0)[None]), atol=1e-6)


ODD = {
    "no file": (lambda f: (f / FILE).unlink(), "has no luminet.safetensors"),
    "a pickle": (lambda f: (f / FILE).rename(f / "last.pth.tar"), "last.pth.tar .* is a pickle"),
    "a torn file": (lambda f: (f / FILE).write_bytes((f / FILE).read_bytes()[:999]), "is damaged"),
    "no index": (lambda f: (f / "model_index.json").unlink(), "no diffusers pipeline"),
    "another pipeline": (
        lambda f: (f / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'),
        "is a FluxPipeline, expected a StableDiffusionPipeline",
    ),
    "no unet": (lambda f: shutil.rmtree(f / "unet"), "lacks its part 'unet'"),
    "no scheduler": (lambda f: shutil.rmtree(f / "scheduler"), "lacks its part 'scheduler'"),
}
CHANGED = {
    "no adaptor": (lambda t, h: [t.pop(n) for n in list(t) if n.startswith("adaptor")], "no tensor of its part 'adapt"),
    "one tensor less": (
        lambda t, h: t.pop("controlnet.conv_in.bias"),
        "lacks the tensor 'controlnet.conv_in.bias'",
    ),
    "no hint": (
        lambda t, h: t.pop("controlnet.controlnet_cond_embedding.layers.1.weight"),
        "lacks the tensor|with shape",
    ),
    "a strange tensor": (lambda t, h: t.update(pipe=torch.zeros(1)), "tensor 'pipe', which belongs to no part"),
    "a foreign tensor": (
        lambda t, h: t.update({"unet.giant.weight": torch.zeros(1)}),
        "'unet.giant.weight', for which this base model has no place",
    ),
    "another shape": (
        lambda t, h: t.update({"controlnet.conv_in.weight": torch.zeros(8, 4, 1, 1)}),
        r"'controlnet.conv_in.weight' with shape \(8, 4, 1, 1\), expected \(8, 4, 3, 3\)",
    ),
    "whole numbers": (
        lambda t, h: t.update({"controlnet.conv_in.bias": torch.zeros(8, dtype=torch.int32)}),
        "'controlnet.conv_in.bias' of type torch.int32",
    ),
    "a broken chain": (
        lambda t, h: t.update({"adaptor.layers.1.weight": torch.zeros(48, 25)}),
        r"'adaptor.layers.1.weight' with shape \(48, 25\), expected \(48, 24\)",
    ),
    "tokens of another width": (
        lambda t, h: t.update(
            {"adaptor.layers.1.weight": torch.zeros(50, 24), "adaptor.layers.1.bias": torch.zeros(50)},
        ),
        "layers make no light tokens",
    ),
    "an odd name": (lambda t, h: t.update({"adaptor.norm.weight": torch.zeros(1)}), "'adaptor.norm.weight', which is"),
    "a prompt of another width": (
        lambda t, h: t.update(empty_prompt=torch.zeros(1, 77, 9)),
        r"'empty_prompt' of shape \(1, 77, 9\), expected \(1, 77, 16\)",
    ),
    "an odd header": (lambda t, h: h.update(intrinsics='{"base": 8, "colour": 3}'), "header .* is odd"),
    "another stride": (
        lambda t, h: h.update(intrinsics=json.dumps({**SIZES.to_dict(), "hint": 0})),
        "intrinsics of stride 2 .* expected the VAE's stride 4",
    ),
}


@pytest.mark.parametrize("how", [*ODD, *CHANGED])
def test_a_broken_folder_is_a_sentence_with_a_remedy(folder, how):
    if how in ODD:
        edit, expected = ODD[how]
        edit(folder)
    else:
        edit, expected = CHANGED[how]
        change(folder, edit)
    with pytest.raises(MissingPart, match=expected) as caught:
        load.load_relighter(folder)
    assert "tiny" in caught.value.text and caught.value.text.endswith(".") and caught.value.remedy
    assert len(caught.value.text) < 300


def test_a_pickle_by_name_is_refused_unopened(tmp_path):
    (tmp_path / "last.pth").write_bytes(b"cos\nsystem\n")
    with pytest.raises(MissingPart, match=r"last.pth is a file") as caught:
        load.load_relighter(tmp_path / "last.pth")
    assert "not opened" in caught.value.remedy


def test_memory_is_reckoned_from_headers_and_compared_before_loading(folder, monkeypatch):
    parts = [load_file(path) for path in (folder / FILE, *folder.glob("[uv]*/*.safetensors"))]
    numbers = sum(value.numel() for tensors in parts for value in tensors.values())
    expected = 4 * numbers + memory.WORKING * SIZE * SIZE
    relighter = load.load_relighter(folder)
    assert relighter.memory == expected and memory.free("cpu") > 1e6
    load.unload()
    monkeypatch.setattr(memory, "free", lambda device: expected - 1)
    monkeypatch.setattr(load, "load_base", lambda *_: pytest.fail("loaded"))
    with pytest.raises(LimelightError, match=r"needs about 0.0 GB of cpu's memory, of which 0.0 GB are free") as caught:
        load.load_relighter(folder)
    assert caught.value.code == "memory" and "embedded" in caught.value.remedy
