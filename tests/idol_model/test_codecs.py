"""Codecs and foreground encoders: shapes, scale, round trips."""

import pytest
import torch

from idol_model import codecs, foreground
from idol_model.chance import Chance
from idol_model.codecs import ConvCodecConfig, JointKlCodecConfig, KlCodecConfig
from idol_model.codecs.kl import inflated
from idol_model.codecs.reconstruction import reconstruction
from idol_model.foreground import ClipForegroundConfig, ConvForegroundConfig

CODECS = [ConvCodecConfig(latent_channels=6, width=8, depth=1), KlCodecConfig(widths=(8, 8, 8, 8), depth=1, groups=4)]
ENCODERS = [
    ConvForegroundConfig(tokens=12, width=8, depth=1, size=32, factor=8),
    ClipForegroundConfig(tokens=12, hidden=16, layers=1, heads=2, patch=8, size=32),
]


@pytest.mark.parametrize("config", CODECS, ids=lambda config: config.kind)
def test_a_codec_keeps_its_promised_shapes_and_survives_saving(config, tmp_path) -> None:
    codec = codecs.build(config).eval()
    pictures = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        latents = codec.encode(pictures)
        assert latents.shape == (2, codec.latent_channels, 32 // codec.factor, 48 // codec.factor)
        assert codec.decode(latents).shape == pictures.shape
        assert torch.equal(latents, codec.encode(pictures))
        codec.save_pretrained(tmp_path)
        again = type(codec).from_pretrained(tmp_path).eval()
        assert torch.allclose(again.encode(pictures), latents, atol=1e-5)


def test_calibration_gives_unit_variance_and_keeps_the_pictures() -> None:
    torch.manual_seed(0)
    codec = codecs.build(ConvCodecConfig(latent_channels=6, width=8, depth=1))
    pictures = torch.rand(8, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = codec.decode(codec.encode(pictures))
        codec.calibrate(pictures)
        latents = codec.encode(pictures)
        assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(6), atol=1e-4)
        assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-4)
        assert torch.allclose(codec.decode(latents), before, atol=1e-4)


def test_a_few_steps_of_codec_training_lower_its_loss() -> None:
    torch.manual_seed(0)
    codec = codecs.build(ConvCodecConfig(latent_channels=6, width=8, depth=1))
    pictures = torch.rand(4, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3) * 2 - 1
    optimizer = torch.optim.Adam(codec.parameters(), lr=1e-2)
    seen = []
    for _ in range(60):
        terms = codec.loss(pictures, Chance.of((0,), range(len(pictures))), edge_weight=1.0)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        seen.append(terms["absolute"].item())
    assert seen[-1] < 0.7 * seen[0]


def test_what_a_decoder_gives_in_half_precision_is_compared_in_float32() -> None:
    truth, decoded = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(3)).unbind(0)
    half = decoded.bfloat16()
    for name, value in reconstruction(half, truth, 0.5).items():
        assert value.dtype == torch.float32
        assert value == reconstruction(half.float(), truth, 0.5)[name], name


@pytest.mark.parametrize("config", ENCODERS, ids=lambda config: config.kind)
def test_a_foreground_encoder_gives_tokens_and_a_null(config, tmp_path) -> None:
    encoder = foreground.build(config).eval()
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = encoder(pictures)
        assert tokens.shape == (2, 17 if config.kind == "clip" else 16, 12)
        assert torch.equal(encoder.null(pictures), encoder(torch.zeros_like(pictures)))
        encoder.save_pretrained(tmp_path)
        assert torch.allclose(type(encoder).from_pretrained(tmp_path).eval()(pictures), tokens, atol=1e-5)


def test_clip_itself_is_never_trained() -> None:
    encoder = foreground.build(ENCODERS[1])
    assert [name for name, p in encoder.named_parameters() if p.requires_grad] == ["projection.weight"]


def test_a_joint_codec_holds_both_modalities_in_one_stream() -> None:
    torch.manual_seed(0)
    codec = codecs.build(JointKlCodecConfig(widths=(8, 8), depth=1, groups=4)).eval()
    x_MBLCHW = torch.rand(2, 1, 3, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        z_SBLCHW = codec.encode_clips(x_MBLCHW, streams=1)
        assert z_SBLCHW.shape == (1, 1, 3, 4, 8, 8)
        assert codec.decode_clips(z_SBLCHW).shape == x_MBLCHW.shape
        moved = x_MBLCHW.clone()
        moved[1] += 0.5
        assert not torch.equal(codec.encode_clips(moved, streams=1), z_SBLCHW)
        assert codec.encode_picture(x_MBLCHW[0, :, 0]).shape == (1, 4, 8, 8)
    with pytest.raises(ValueError, match=r"unet.streams: 2"):
        codec.encode_clips(x_MBLCHW, streams=2)


def test_inflated_weights_give_the_video_as_the_image_codec_does() -> None:
    torch.manual_seed(0)
    single = codecs.build(KlCodecConfig(widths=(8, 8), depth=1, groups=4)).eval()
    joint = codecs.build(JointKlCodecConfig(widths=(8, 8), depth=1, groups=4)).eval()
    joint.vae.load_state_dict(inflated(single.vae.state_dict()), strict=True)
    x_MBLCHW = torch.rand(2, 1, 2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        z_SBLCHW = single.encode_clips(x_MBLCHW, streams=1)
        assert torch.allclose(joint.encode_clips(x_MBLCHW, streams=1), z_SBLCHW, atol=1e-6)
        assert torch.allclose(joint.decode_clips(z_SBLCHW)[0], single.decode_clips(z_SBLCHW)[0], atol=1e-6)


def test_streams_are_encoded_apart_by_a_codec_for_each_modality() -> None:
    codec = codecs.build(CODECS[0]).eval()
    x_MBLCHW = torch.rand(2, 1, 3, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        both, video = (codec.encode_clips(x_MBLCHW, streams) for streams in (2, 1))
        assert torch.allclose(both[:1], video, atol=1e-6)
        assert torch.allclose(codec.decode_clips(both)[1, 0], codec.decode(both[1, 0]), atol=1e-6)
