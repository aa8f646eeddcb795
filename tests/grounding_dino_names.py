"""GroundingDINO's weights under transformers' names, from those of groundingdino-py; for tests of the two routes."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.relative_position_bias_table": "attention.relative_position_bias.relative_position_bias_table",
    "attn.proj": "attention.o_proj",
}
_TEXT = {"linear1": "fc1", "linear2": "fc2", "norm1": "layer_norm_before", "norm2": "layer_norm_after"}
_DEFORMABLE = {"linear1": "fc1", "linear2": "fc2", "norm1": "self_attn_layer_norm", "norm2": "final_layer_norm"}
_FUSION = {
    "gamma_v": "vision_param",
    "gamma_l": "text_param",
    "layer_norm_v": "layer_norm_vision",
    "layer_norm_l": "layer_norm_text",
    "attn.values_v_proj": "attn.values_vision_proj",
    "attn.values_l_proj": "attn.values_text_proj",
    "attn.out_v_proj": "attn.out_vision_proj",
    "attn.out_l_proj": "attn.out_text_proj",
    "attn.v_proj": "attn.vision_proj",
    "attn.l_proj": "attn.text_proj",
}
_DECODER = {
    "cross_attn": "encoder_attn",
    "norm1": "encoder_attn_layer_norm",
    "ca_text": "encoder_attn_text",
    "catext_norm": "encoder_attn_text_layer_norm",
    "norm2": "self_attn_layer_norm",
    "linear1": "fc1",
    "linear2": "fc2",
    "norm3": "final_layer_norm",
}
_LAYERS = (
    (r"transformer\.encoder\.layers\.(\d+)\.", r"model.encoder.layers.\1.deformable_layer.", _DEFORMABLE),
    (r"transformer\.encoder\.text_layers\.(\d+)\.", r"model.encoder.layers.\1.text_enhancer_layer.", _TEXT),
    (r"transformer\.encoder\.fusion_layers\.(\d+)\.", r"model.encoder.layers.\1.fusion_layer.", _FUSION),
    (r"transformer\.decoder\.layers\.(\d+)\.", r"model.decoder.layers.\1.", _DECODER),
    (
        r"backbone\.0\.layers\.(\d+)\.blocks\.(\d+)\.",
        r"model.backbone.conv_encoder.model.swin.encoder.layers.\1.blocks.\2.",
        _BLOCK,
    ),
)
_ENDS = (
    (
        r"backbone\.0\.patch_embed\.proj",
        "model.backbone.conv_encoder.model.swin.embeddings.patch_embeddings.projection",
    ),
    (r"backbone\.0\.patch_embed\.norm", "model.backbone.conv_encoder.model.swin.embeddings.norm"),
    (r"backbone\.0\.layers", "model.backbone.conv_encoder.model.swin.encoder.layers"),
    (r"backbone\.0\.norm1", "model.backbone.conv_encoder.model.hidden_states_norms.stage2"),
    (r"backbone\.0\.norm2", "model.backbone.conv_encoder.model.hidden_states_norms.stage3"),
    (r"backbone\.0\.norm3", "model.backbone.conv_encoder.model.hidden_states_norms.stage4"),
    (r"bert", "model.text_backbone"),
    (r"input_proj", "model.input_proj_vision"),
    (r"feat_map", "model.text_projection"),
    (r"transformer\.decoder\.ref_point_head", "model.decoder.reference_points_head"),
    (r"transformer\.decoder\.bbox_embed", "model.decoder.bbox_embed"),
    (r"transformer\.decoder\.norm", "model.decoder.layer_norm"),
    (r"transformer\.enc_out_bbox_embed", "model.encoder_output_bbox_embed"),
    (r"transformer\.tgt_embed", "model.query_position_embeddings"),
    (r"transformer\.", "model."),
)
_FUSED = ((".attn.qkv.", ".attention.{}_proj.", tuple("qkv")), (".in_proj_", ".{}.", ("query", "key", "value")))
_NO_WEIGHTS = ("relative_position_index", "pooler")


def transformers_names(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every weight under its other name; matrices for query, key and value apart."""
    state: dict[str, Tensor] = {}
    for name, value in original.items():
        if not any(word in name for word in _NO_WEIGHTS):
            state |= _apart(_renamed(name), value)
    return state


def _apart(name: str, value: Tensor) -> dict[str, Tensor]:
    for fused, form, parts in _FUSED:
        if fused in name:
            names = (name.replace(fused, form.format(part)) for part in parts)
            return dict(zip(names, value.chunk(3), strict=True))
    return {name: value}


def _renamed(name: str) -> str:
    for pattern, place, inner in _LAYERS:
        if re.match(pattern, name):
            head, rest = re.sub(pattern + ".*", place, name), re.sub(pattern, "", name)
            for old, new in inner.items():
                if rest == old or rest.startswith(f"{old}."):
                    return head + new + rest[len(old) :]
            return head + rest
    for pattern, new in _ENDS:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", new, name)
    return name


def stirred(network: torch.nn.Module, seed: int) -> None:
    """Weights that make answers tell something: biases and tables that begin at zero get values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim < 2 or parameter.abs().max() == 0:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
