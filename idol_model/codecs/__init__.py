"""Codecs: pictures in [-1, 1] to latents of unit variance and back, and clips to latent streams and back."""

from typing import Any

from idol_model.codecs.conv import ConvCodec, ConvCodecConfig
from idol_model.codecs.kl import JointKlCodec, JointKlCodecConfig, KlCodec, KlCodecConfig

CodecConfig = KlCodecConfig | JointKlCodecConfig | ConvCodecConfig
Codec = KlCodec | JointKlCodec | ConvCodec

_CODECS: dict[type, Any] = {
    KlCodecConfig: KlCodec,
    JointKlCodecConfig: JointKlCodec,
    ConvCodecConfig: ConvCodec,
}


def build(config: CodecConfig) -> Codec:
    """The codec of a configuration, freshly initialised."""
    return class_of(config).of(config)


def class_of(config: Any) -> Any:
    """The class of the codec of a `CodecConfig`."""
    return _CODECS[type(config)]


__all__ = [
    "Codec",
    "CodecConfig",
    "ConvCodec",
    "ConvCodecConfig",
    "JointKlCodec",
    "JointKlCodecConfig",
    "KlCodec",
    "KlCodecConfig",
    "build",
    "class_of",
]
