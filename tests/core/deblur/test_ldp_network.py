"""The LDP network: its published shape, its own additions, and the deblurrer around it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from network_samples import TINY
from torch import nn
from torch.nn import functional as F

from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.ldp import LdpDeblurrer, LdpSettings
from ldp_core.deblur.ldp_network import (
    PUBLISHED,
    SMALL,
    LdpNetwork,
    NetworkSettings,
    ReleasedAttention,
    SpatialAttention,
    arrange_for,
    count_parameters,
    lay_planes,
)
from ldp_core.deblur.nafnet import ChannelNorm, LocalMean, NafBlock, Pointwise, box_mean
from ldp_core.errors import BlurMapError, SettingsError, WeightsError
from ldp_core.types import BlurMap, BlurMapKind, Pair
from ldp_core.weights import pack_weights

ARMS = ["released", "spatial", "concat", "none"]


def shake(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Random values in every parameter, so that nothing is zero by initialisation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


def arm(bpa: str) -> NetworkSettings:
    width = 32 if bpa == "released" else 8
    return NetworkSettings.parse({**TINY.model_dump(), "bpa": bpa, "width": width})


def test_the_published_network_has_its_published_number_of_parameters() -> None:
    network = LdpNetwork(PUBLISHED)
    assert count_parameters(network) == 7_624_961
    assert network.bpa is not None
    assert network.bpa.depthwise.weight.numel() == 864


def test_the_unused_convolution_of_the_published_block_takes_no_gradient() -> None:
    block = ReleasedAttention()
    block(torch.rand(1, 32, 8, 8), torch.rand(1, 1, 8, 8)).sum().backward()
    unused = [name for name, parameter in block.named_parameters() if parameter.grad is None]
    assert unused == ["depthwise.weight"]


def test_the_published_network_has_no_residual_to_its_input() -> None:
    network = LdpNetwork(PUBLISHED).eval()
    nn.init.zeros_(network.head.weight)
    with torch.inference_mode():
        assert network(torch.ones(1, 3, 16, 16), torch.ones(1, 3, 16, 16)).abs().max() == 0


@pytest.mark.parametrize("bpa", ARMS)
@pytest.mark.parametrize("size", [(17, 31), (8, 8), (40, 23)])
def test_any_size_comes_back_and_an_untrained_network_returns_the_mean_of_the_views(
    bpa: str, size: tuple[int, int]
) -> None:
    network = LdpNetwork(arm(bpa)).eval()
    left, right = torch.rand(2, 3, *size), torch.rand(2, 3, *size)
    plane = arrange_for(network.settings, torch.rand(2, 3, *size))
    with torch.inference_mode():
        for given in (plane, None):
            torch.testing.assert_close(network(left, right, given), (left + right) / 2)


def test_a_share_of_the_correction_is_added_to_a_guess_and_all_of_it_without_one() -> None:
    full = shake(LdpNetwork(arm("spatial")))
    half = LdpNetwork(NetworkSettings.parse({**arm("spatial").model_dump(), "correction": 0.5})).eval()
    half.load_state_dict(full.state_dict())
    left, right, guess = torch.rand(3, 1, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(
            half(left, right, guess=guess), (full(left, right, guess=guess) + guess) / 2
        )
        assert torch.equal(half(left, right), full(left, right))


def test_settings_of_networks_that_correct_in_full_are_written_as_before() -> None:
    assert "correction" not in NetworkSettings().model_dump()
    with pytest.raises(SettingsError):
        NetworkSettings.parse({"correction": 0})


def test_the_network_corrects_the_guess_it_is_given_and_sees_it() -> None:
    network = LdpNetwork(arm("spatial")).eval()
    left, right, guess = torch.rand(3, 1, 3, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(network(left, right, guess=guess), guess)
        shake(network)
        correction = network(left, right, guess=guess) - guess
        assert (correction - (network(left, right) - (left + right) / 2)).abs().max() > 1e-6


@pytest.mark.parametrize("bpa", ["released", "spatial", "concat"])
def test_the_map_reaches_the_result(bpa: str) -> None:
    network = shake(LdpNetwork(arm(bpa)))
    left, right, planes = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        without = network(left, right)
        with_map = network(left, right, arrange_for(network.settings, planes))
    assert (without - with_map).abs().max() > 1e-6


def test_the_released_block_reads_no_map_as_a_map_of_zeros() -> None:
    block, x = ReleasedAttention(), torch.rand(2, 32, 12, 12)
    torch.testing.assert_close(block(x, None), block(x, torch.zeros(2, 1, 12, 12)))


def test_the_released_block_attends_over_channels_with_the_map_added_to_the_scores() -> None:
    block, x, similarity = ReleasedAttention(), torch.rand(1, 32, 9, 11), torch.rand(1, 1, 64, 96)
    query, key, value = F.conv2d(x, block.qkv.weight).flatten(2).split(32, dim=1)
    cosine = torch.cosine_similarity(query[0][:, None], key[0][None, :], dim=-1)
    scores = cosine + F.adaptive_avg_pool2d(similarity, 32)[0, 0]
    mixed = (scores.softmax(-1) @ value[0]).view(1, 32, 9, 11)
    expected = F.conv2d(mixed, block.project.weight)
    torch.testing.assert_close(block(x, similarity), expected)


def test_the_spatial_block_starts_as_the_identity_and_keeps_the_place_of_the_map() -> None:
    block, x = SpatialAttention(32), torch.rand(1, 32, 8, 8)
    plane = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(block(x, plane), x)
    shake(block)
    assert (block(x, plane) - block(x, plane.flip(-1))).abs().max() > 1e-6


def test_pointwise_is_a_convolution_and_channel_norm_a_layer_norm() -> None:
    x = torch.randn(2, 6, 5, 7)
    layer = Pointwise(6, 4)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias))
    deviation = x.var(1, keepdim=True, unbiased=False).add(1e-6).sqrt()
    torch.testing.assert_close(ChannelNorm(6)(x), (x - x.mean(1, keepdim=True)) / deviation)


def test_a_fresh_block_is_the_identity() -> None:
    x = torch.rand(1, 8, 6, 6)
    torch.testing.assert_close(NafBlock(8)(x), x)


def test_the_window_mean_is_cut_at_the_borders() -> None:
    x = torch.rand(1, 2, 7, 9)
    mean = box_mean(x, side=4)
    for row, column in [(0, 0), (3, 4), (6, 8)]:
        rows = slice(max(row - 2, 0), min(row + 2, 7))
        columns = slice(max(column - 2, 0), min(column + 2, 9))
        torch.testing.assert_close(mean[..., row, column], x[..., rows, columns].mean((2, 3)))


def test_the_window_mean_does_not_see_beyond_its_window() -> None:
    module = LocalMean(window_px=8).eval()
    x = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(module(x)[..., 8:24], module(x[..., :32])[..., 8:24])
    assert module.train()(x).shape == (1, 3, 1, 1)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="width 32"):
        NetworkSettings.parse({"bpa": "released", "width": 48})
    with pytest.raises(SettingsError, match="same number"):
        NetworkSettings.parse({"encoder": [1, 1], "decoder": [1]})


def test_planes_keep_the_sign_only_where_there_is_one() -> None:
    values = np.array([[-25.0, 0.0, 5.0]], dtype=np.float32)
    signed = lay_planes(BlurMap(values, BlurMapKind.SIGNED_COC_PX))
    assert signed[0, :, 0].tolist() == [[-1, 0, 0.25], [1, 0, 0.25], [1, 1, 1]]
    similar = np.array([[0.0, 0.25, 1.0]], dtype=np.float32)
    assert lay_planes(BlurMap(similar, BlurMapKind.SIMILARITY))[0, :, 0].tolist() == [
        [0, 0, 0],
        [0, 0.25, 1],
        [0, 0, 0],
    ]
    focus = lay_planes(BlurMap(similar, BlurMapKind.IN_FOCUS_PROBABILITY))
    assert focus[0, 1, 0].tolist() == [1, 0.75, 0]


def save_network(path: Path, network: LdpNetwork) -> str:
    metadata = {"network": network.settings.model_dump_json()}
    content = pack_weights(network.state_dict(), metadata=metadata)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def make_pair(rng: np.random.Generator, *, channels: int, dtype: type, size: tuple[int, int]) -> Pair:
    peak = np.iinfo(dtype).max
    left, right = (rng.integers(0, peak + 1, (*size, channels)).astype(dtype) for _ in range(2))
    return Pair("set/one", left, right)


@pytest.fixture
def deblurrer(tmp_path: Path) -> LdpDeblurrer:
    path = tmp_path / "tiny.safetensors"
    digest = save_network(path, LdpNetwork(TINY))
    return LdpDeblurrer(LdpSettings(weights=str(path), sha256=digest, tile_px=128, overlap_px=32))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [None, *BlurMapKind])
def test_every_kind_of_pair_and_map_is_restored_in_its_own_form(
    deblurrer: LdpDeblurrer, channels: int, dtype: type, kind: BlurMapKind | None
) -> None:
    pair = make_pair(np.random.default_rng(0), channels=channels, dtype=dtype, size=(37, 53))
    values = np.full((37, 53), 0.5, dtype=np.float32)
    restored = deblurrer.restore(pair, None if kind is None else BlurMap(values, kind))
    start = (pair.left.astype(np.float64) + pair.right) / 2
    if kind is BlurMapKind.SIGNED_COC_PX:
        start = make_deblurrer("wiener").restore(pair, BlurMap(values, kind)).astype(np.float64)
    assert restored.dtype == dtype
    assert np.abs(restored - start).max() <= 0.51


def test_a_sharp_pair_comes_back_exactly_from_an_untrained_network(deblurrer: LdpDeblurrer) -> None:
    view = make_pair(np.random.default_rng(1), channels=3, dtype=np.uint16, size=(33, 47)).left
    restored = deblurrer.restore(Pair("set/sharp", view, view), None)
    np.testing.assert_array_equal(restored, view)


def test_a_large_picture_is_restored_in_tiles(deblurrer: LdpDeblurrer) -> None:
    pair = make_pair(np.random.default_rng(2), channels=3, dtype=np.uint8, size=(150, 210))
    assert deblurrer.restore(pair, None).shape == (150, 210, 3)


@pytest.mark.parametrize("values", [np.zeros((5, 5), np.float32), np.full((37, 53), np.nan, np.float32)])
def test_a_map_that_does_not_fit_is_refused(deblurrer: LdpDeblurrer, values: np.ndarray) -> None:
    pair = make_pair(np.random.default_rng(0), channels=1, dtype=np.uint8, size=(37, 53))
    with pytest.raises(BlurMapError, match="does not fit"):
        deblurrer.restore(pair, BlurMap(values, BlurMapKind.SIGNED_COC_PX))


def test_the_stage_depends_on_the_weights(deblurrer: LdpDeblurrer) -> None:
    assert deblurrer.spec.weights_sha256 == deblurrer.settings.sha256
    assert len(deblurrer.spec.weights_sha256) == 64


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    content = pack_weights({"x": torch.zeros(1)}, metadata={"network": json.dumps(TINY.model_dump())})
    path.write_bytes(content)
    other = LdpDeblurrer(LdpSettings(weights=str(path), sha256=hashlib.sha256(content).hexdigest()))
    pair = make_pair(np.random.default_rng(0), channels=3, dtype=np.uint8, size=(16, 16))
    with pytest.raises(WeightsError, match="not of the network 'ldp'"):
        other.restore(pair, None)


def test_the_deblurrer_is_found_by_its_name(deblurrer: LdpDeblurrer) -> None:
    settings = deblurrer.settings.model_dump()
    assert make_deblurrer("ldp", settings).spec == deblurrer.spec


def test_the_small_network_is_small() -> None:
    assert count_parameters(LdpNetwork(SMALL)) < 4_000_000
