# SPDX-License-Identifier: GPL-3.0-or-later
"""The curation: what is kept at known scores, what is logged, and a tiny random CLIP through the whole command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput, MissingPart
from limelight.training.luminet import curation
from limelight.training.luminet.clip import Clip
from limelight.training.luminet.curation import KEYWORDS, Thresholds, curate
from PIL import Image


class BrightnessScorer:
    """Known scores: mean red, green and blue of a picture are its cosines with the three keywords."""

    name = "brightness"

    def scores(self, pictures: list[np.ndarray], keywords: Sequence[str]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(p).float().mean((0, 1)) / 255 for p in pictures])


def write(folder: Path, name: str, *colour: int) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 16), colour).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures, ever brighter, one of them in a folder of its own, and one that cannot be read."""
    folder = tmp_path / "pictures"
    for i in range(9):
        write(folder, f"{i}.png", *[20 * i + 20] * 3)
    write(folder, "below/9.png", 200, 200, 40)
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def kept(summary: dict) -> list[str]:
    return [name for entry in summary["kept"] for name in entry["pictures"]]


def test_pictures_below_an_absolute_threshold_are_dropped_and_counted(pictures: Path, tmp_path: Path) -> None:
    thresholds = Thresholds({"photo-realistic": 90 / 255, "illumination": 50 / 255})
    found = curate(pictures, tmp_path / "kept.json", BrightnessScorer(), thresholds=thresholds)
    assert kept(found) == ["4.png", "5.png", "6.png", "7.png", "8.png"]
    assert found["counts"] == {
        "seen": 11, "kept": 5, "dropped": 5, "unreadable": 1,
        "dropped_by": {"photo-realistic": 4, "good lighting": 0, "illumination": 3, "lowest share": 0},
    }  # fmt: skip
    last = next(entry for entry in found["dropped"] if entry["pictures"] == ["below/9.png"])
    assert last["why"] == ["illumination"] and last["scores"]["good lighting"] == pytest.approx(200 / 255, abs=1e-3)
    assert list(found["failed"]) == ["broken.png"]
    assert json.loads((tmp_path / "kept.json").read_text()) == found
    assert found["thresholds"]["least"]["illumination"] == 50 / 255 and found["clip"] == "brightness"


def test_the_lowest_share_goes_by_the_mean_of_the_keywords(pictures: Path, tmp_path: Path) -> None:
    found = curate(pictures, tmp_path / "kept.json", BrightnessScorer(), thresholds=Thresholds(lowest_share=0.3))
    assert [entry["pictures"] for entry in found["dropped"]] == [["0.png"], ["1.png"], ["2.png"]]
    assert found["scores"]["lowest"]["good lighting"] == pytest.approx(20 / 255, abs=1e-3)
    assert found["scores"]["highest"]["good lighting"] == pytest.approx(200 / 255, abs=1e-3)


def test_a_pair_is_as_good_as_its_worse_picture(pictures: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.json"
    names = [["8.png", "7.png"], ["8.png", "0.png"], ["6.png", "below/9.png"], ["7.png", "broken.png"]]
    pairs.write_text(json.dumps(names))
    thresholds = Thresholds(dict.fromkeys(KEYWORDS, 0.3))
    found = curate(pictures, tmp_path / "kept.json", BrightnessScorer(), thresholds=thresholds, pairs=pairs)
    assert [entry["pictures"] for entry in found["kept"]] == [["8.png", "7.png"]]
    assert [entry["why"] for entry in found["dropped"]] == [list(KEYWORDS), ["illumination"]]
    assert found["counts"]["unreadable"] == 1


def test_what_cannot_be_meant_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "object.json").write_text('{"a": 1}')
    (tmp_path / "names.json").write_text('["1.png", "2.png"]')
    for folder, thresholds, pairs in (
        (pictures, Thresholds(lowest_share=1.0), None),
        (pictures, Thresholds({"sharp": 0.2}), None),
        (pictures, Thresholds({"illumination": 20}), None),
        (tmp_path / "nowhere", Thresholds(), None),
        (tmp_path / "empty", Thresholds(), None),
        (pictures, Thresholds(), tmp_path / "nothing.json"),
        (pictures, Thresholds(), tmp_path / "empty"),
        (pictures, Thresholds(), tmp_path / "object.json"),
        (pictures, Thresholds(), tmp_path / "names.json"),
    ):
        with pytest.raises(BadInput) as refused:
            curate(folder, tmp_path / "kept.json", BrightnessScorer(), thresholds=thresholds, pairs=pairs)
        assert refused.value.remedy
    assert not (tmp_path / "kept.json").exists()


def write_clip(folder: Path) -> None:
    """A random CLIP model of a few thousand weights, whose tokens are letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz-"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**size, "vocab_size": len(words), "max_position_embeddings": 12, "bos_token_id": 0,
                     "eos_token_id": 1},
        vision_config={**size, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    tokenizer = CLIPTokenizer({word: i for i, word in enumerate(words)}, [], model_max_length=12)
    side = {"height": 16, "width": 16}
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=side)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


def test_clips_scores_are_cosines_of_its_embeddings(clip: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((40, 30), (16, 16), (20, 50))]
    found = Clip(clip).scores(pictures, KEYWORDS)
    assert found.shape == (3, 3) and bool((found.abs() <= 1).all())
    network, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    inputs = processor(text=["good lighting"], images=[pictures[2]], return_tensors="pt", truncation=True)
    with torch.inference_mode():
        cosine = network(**inputs).logits_per_image / network.logit_scale.exp()
    assert float(found[2, 1]) == pytest.approx(float(cosine), abs=1e-5)


def test_the_command_writes_what_it_kept(
    clip: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kept.json"
    words = ["curation", "--pictures", pictures, "--clip", clip, "--out", out, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    curation.main()
    assert capsys.readouterr().out == "8 of 11 kept, 2 dropped, 1 unreadable\n"
    assert json.loads(out.read_text())["thresholds"] == {"least": {}, "lowest_share": curation.LOWEST_SHARE}
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--keyword", "dark", "--least", "dark=-1", "--least", "1"])
    curation.main()
    assert json.loads(out.read_text())["counts"]["dropped_by"] == {"dark": 10, "lowest share": 0}
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--clip", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as left:
        curation.main()
    assert left.value.code == 3 and "hf download" in capsys.readouterr().err


def test_a_folder_without_a_whole_clip_model_is_a_missing_part(clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "siglip"}')
    with pytest.raises(MissingPart, match="siglip"):
        Clip(other)
    write_clip(tmp_path / "cut")
    weights = load_file(tmp_path / "cut" / "model.safetensors")
    weights.pop("visual_projection.weight")
    save_file(weights, tmp_path / "cut" / "model.safetensors", {"format": "pt"})
    with pytest.raises(MissingPart, match="lacks 1 of its weights"):
        Clip(tmp_path / "cut")
