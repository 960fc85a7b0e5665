"""Where CLIP weights may come from, and what is said when they are not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from clip_samples import CONFIG, TEXT, VISION, write_clip

from ldp_core.blur import clip_model, clip_settings, make_estimator
from ldp_core.blur.clip_model import (
    build_network,
    call_resized,
    encode_prompts,
    load_clip,
    open_clip,
    random_clip,
)
from ldp_core.errors import SettingsError, WeightsError
from ldp_core.weights import pack_weights, read_weights


def test_a_file_with_a_card_needs_nothing_else(tmp_path: Path) -> None:
    card = {
        "model_cfg": CONFIG,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [1, 2, 4],
        "name": "x",
        "more": 1,
    }
    model = load_clip(**write_clip(tmp_path, card=card))
    assert model.trained
    assert model.card.name == "x"
    assert model.image_size == (64, 64)
    torch.testing.assert_close(
        model.normalise(torch.ones(1, 3, 1, 1)).flatten(), torch.tensor([0.9, 0.4, 0.175])
    )
    expected = build_network(CONFIG, where="test", seed=1).state_dict()
    torch.testing.assert_close(model.network.state_dict(), expected)


def test_a_model_is_loaded_once(tmp_path: Path) -> None:
    asked = write_clip(tmp_path)
    assert load_clip(**asked) is load_clip(**asked)


def test_half_precision_files_are_widened(tmp_path: Path) -> None:
    asked = write_clip(tmp_path)
    weights = read_weights(asked["weights"], sha256=asked["sha256"])
    halves = {name: value.half() for name, value in weights.tensors.items()}
    path = tmp_path / "half.safetensors"
    path.write_bytes(pack_weights(halves, metadata=weights.metadata))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    model = load_clip(str(path), sha256=digest)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


def test_a_file_in_openai_shape_needs_the_name_of_its_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = write_clip(tmp_path, card={})
    with pytest.raises(WeightsError, match="ViT-B-16-quickgelu"):
        load_clip(**asked)
    with pytest.raises(WeightsError, match="No-Such"):
        load_clip(**asked, architecture="No-Such")
    monkeypatch.setattr(open_clip(), "get_model_config", lambda name: CONFIG | {"embed_dim": 24})
    with pytest.raises(WeightsError, match="not of this CLIP"):
        load_clip(**asked, architecture="another")
    monkeypatch.setattr(open_clip(), "get_model_config", lambda name: CONFIG)
    assert load_clip(**asked, architecture="this").card.name == "this"


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": "no-such-model"},
        {"weights": "nowhere/none.safetensors", "sha256": "0" * 64},
        {"weights": "No-Such-Architecture/openai"},
    ],
)
def test_absent_weights_tell_both_ways_out(settings: dict[str, str]) -> None:
    with pytest.raises(WeightsError) as caught:
        load_clip(**settings)
    assert "ViT-B-16-quickgelu/openai" in caught.value.remedy
    assert ".safetensors" in caught.value.remedy


def test_altered_files_are_refused(tmp_path: Path) -> None:
    asked = write_clip(tmp_path)
    with pytest.raises(WeightsError, match="not the ones asked for"):
        load_clip(asked["weights"], sha256="0" * 64)


@pytest.mark.parametrize(
    "card",
    [
        {"model_cfg": 3},
        {"model_cfg": {"embed_dim": 8}},
        {"model_cfg": CONFIG | {"vision_cfg": VISION | {"layers": [1, 1, 1, 1]}}},
        {"model_cfg": CONFIG, "signed": {"prompts": ["a", "b"], "disparity_px": [1]}},
        {"model_cfg": CONFIG, "as_released": {"A": 3, "B": 3}},
    ],
)
def test_cards_that_make_no_sense_are_refused(tmp_path: Path, card: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"card|cannot build"):
        load_clip(**write_clip(tmp_path, card=card))


def test_tags_are_fetched_by_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def create_model(architecture: str, **options: Any) -> Any:
        asked.update(options, architecture=architecture)
        return build_network(CONFIG, where="test")

    monkeypatch.setattr(open_clip(), "create_model", create_model)
    model = load_clip("ViT-B-16-quickgelu/openai")
    assert (asked["architecture"], asked["pretrained"]) == ("ViT-B-16-quickgelu", "openai")
    assert asked["require_pretrained"]
    assert model.card.image_mean == clip_settings.OPENAI_MEAN
    clip_model._load.cache_clear()


def test_without_a_network_a_tag_tells_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("no network")

    monkeypatch.setattr(open_clip(), "create_model", refuse)
    with pytest.raises(WeightsError, match="no network") as caught:
        load_clip("ViT-B-16-quickgelu/openai")
    assert caught.value.remedy == clip_model.WAYS_OUT


def test_tags_that_open_clip_does_not_know_are_named_beside_those_it_knows() -> None:
    with pytest.raises(WeightsError, match="openai") as caught:
        load_clip("ViT-B-16-quickgelu/nonsense")
    assert caught.value.remedy == clip_model.WAYS_OUT


def test_openai_weights_in_a_network_of_the_wrong_activation_are_refused() -> None:
    with pytest.raises(WeightsError, match="activation"):
        load_clip("ViT-B-16/openai")


def test_random_networks_repeat_and_leave_the_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip(), "get_model_config", lambda name: CONFIG)
    before = torch.random.get_rng_state()
    one, two, other = (random_clip(name, seed=seed) for name, seed in (("a", 3), ("b", 3), ("a", 4)))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.testing.assert_close(one.network.state_dict(), two.network.state_dict())
    assert not torch.equal(one.visual.proj, other.visual.proj)
    assert not one.trained


def test_a_wider_input_is_what_open_clip_makes_of_it(tmp_path: Path) -> None:
    model = load_clip(**write_clip(tmp_path))
    wide = CONFIG | {"vision_cfg": VISION | {"image_size": [64, 128]}}
    expected = build_network(wide, where="test")
    state = model.network.state_dict()
    open_clip().model.resize_pos_embed(state, expected)
    expected.load_state_dict(state)
    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(call_resized(model.visual, images), expected.visual(images))


def test_sentences_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_clip(**write_clip(tmp_path, card={"model_cfg": CONFIG, "name": "once"}))
    encode, calls = model.network.encode_text, []
    monkeypatch.setattr(model.network, "encode_text", lambda tokens: calls.append(1) or encode(tokens))
    first = encode_prompts(model, ("a", "b"))
    assert encode_prompts(model, ("a", "b")) is first
    assert len(calls) == 1
    torch.testing.assert_close(first.norm(dim=1), torch.ones(2))


def test_shorter_sentences_are_cut_to_the_network_s_length(tmp_path: Path) -> None:
    config = CONFIG | {"text_cfg": TEXT | {"context_length": 8}}
    model = load_clip(**write_clip(tmp_path, config=config))
    assert encode_prompts(model, ("one two three four five six seven eight nine ten",)).shape == (1, 16)


def test_unknown_settings_are_refused_and_json_is_kept(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="weight"):
        make_estimator("clip", {"weight": "x"})
    with pytest.raises(SettingsError, match="shared"):
        make_estimator("clip", {"formats": ["shared"], "stride_px": 20})
    with pytest.raises(SettingsError, match="differ"):
        make_estimator("clip", {"thresholds": {"A": 1, "B": 1}})
    spec = make_estimator("clip", write_clip(tmp_path) | {"prompts": ["a", ["b", "c"]]}).spec
    again = make_estimator("clip", json.loads(json.dumps(spec.settings)))
    assert again.spec == spec
