"""Grounded-SAM by transformers with tiny networks, and its SAM against segment-anything's on the same weights."""

import numpy as np
import pytest
import torch
from grounding_dino_names import stirred, transformers_names
from tiny_grounding_dino import swin, write_bert, write_detector, write_processor

from idol_prep import annotators
from idol_prep.annotators import grounded_sam, grounded_sam_original
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import Batch, MaskAnnotator
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError

SIDE = 64


def tiny_sam():
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    vision = SamVisionConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        output_channels=32,
        mlp_dim=32,
        window_size=2,
        global_attn_indexes=[1],
        num_pos_feats=16,
    )
    prompt = SamPromptEncoderConfig(hidden_size=32, image_size=SIDE, patch_size=16, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(
        hidden_size=32, mlp_dim=32, num_hidden_layers=2, num_attention_heads=2, iou_head_hidden_dim=16
    )
    return SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))


def write_sam(folder):
    from transformers import SamImageProcessor, SamProcessor

    tiny_sam().save_pretrained(folder)
    processor = SamImageProcessor(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}, mask_size={"longest_edge": SIDE // 4}
    )
    SamProcessor(processor).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("gsam")
    named = {"grounding-dino": write_detector(home / "dino"), "sam": write_sam(home / "sam")}
    return annotators.Setting(weights=Weights(named), device=Device("cpu"))


def test_it_gives_a_layer_for_each_person(setting, monkeypatch):
    monkeypatch.setattr(grounded_sam, "BOX_SCORE", 0.0)  # random networks are sure of nothing
    made = grounded_sam.make(setting)
    assert isinstance(made, MaskAnnotator)
    frames = np.random.default_rng(0).integers(0, 256, (2, 48, 40, 3), np.uint8)
    layers = made.mask(Batch(frames=frames))
    assert layers.shape[0] == 2
    assert layers.shape[2:] == (48, 40)
    assert set(np.unique(layers)) <= {0, 255}


def test_boxes_are_in_pixels_of_the_frame(setting, monkeypatch):
    monkeypatch.setattr(grounded_sam, "BOX_SCORE", 0.0)
    detector = grounded_sam.TransformersDetector(setting)
    small = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    ((boxes, scores),) = detector.boxes(small)
    assert boxes.shape == (len(scores), 4)
    assert len(boxes) == 10
    assert np.abs(boxes).max() <= 2 * 64


def test_people_who_are_the_same_box_are_one():
    boxes = np.array([[0, 0, 10, 20], [1, 0, 10, 20], [30, 0, 40, 20], [50, 0, 60, 20]], np.float32)
    found = grounded_sam.surest(boxes, np.array([0.8, 0.9, 0.5, 0.1], np.float32))
    assert found.tolist() == [[1, 0, 10, 20], [30, 0, 40, 20]]


# the same weights in the original package

_PLACES = (
    ("shared_image_embedding.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("vision_encoder.neck.conv1", "image_encoder.neck.0"),
    ("vision_encoder.neck.layer_norm1", "image_encoder.neck.1"),
    ("vision_encoder.neck.conv2", "image_encoder.neck.2"),
    ("vision_encoder.neck.layer_norm2", "image_encoder.neck.3"),
    ("vision_encoder.patch_embed.projection", "image_encoder.patch_embed.proj"),
    ("vision_encoder.layers", "image_encoder.blocks"),
    ("vision_encoder", "image_encoder"),
    ("mask_embed.conv1", "mask_downscaling.0"),
    ("mask_embed.layer_norm1", "mask_downscaling.1"),
    ("mask_embed.conv2", "mask_downscaling.3"),
    ("mask_embed.layer_norm2", "mask_downscaling.4"),
    ("mask_embed.conv3", "mask_downscaling.6"),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("upscale_conv1", "output_upscaling.0"),
    ("upscale_layer_norm", "output_upscaling.1"),
    ("upscale_conv2", "output_upscaling.3"),
    ("layer_norm_final_attn", "norm_final_attn"),
    ("layer_norm", "norm"),
)


def original_name(name: str) -> str:
    """Where segment-anything keeps what transformers calls ``name``."""
    if "hypernetworks_mlps" in name or "iou_prediction_head" in name:
        for ours, theirs in ((".layers.0.", ".layers.1."), (".proj_in.", ".layers.0."), (".proj_out.", ".layers.2.")):
            if ours in name:
                return name.replace(ours, theirs)
    for ours, theirs in _PLACES:
        name = name.replace(ours, theirs)
    return name


def original_sam():
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    encoder = ImageEncoderViT(
        img_size=SIDE,
        patch_size=16,
        embed_dim=16,
        depth=2,
        num_heads=2,
        mlp_ratio=2,
        out_chans=32,
        qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=2,
        global_attn_indexes=(1,),
    )
    prompt = PromptEncoder(embed_dim=32, image_embedding_size=(4, 4), input_image_size=(SIDE, SIDE), mask_in_chans=4)
    decoder = MaskDecoder(
        transformer_dim=32,
        transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=32, num_heads=2),
        iou_head_hidden_dim=16,
    )
    return Sam(encoder, prompt, decoder)


@pytest.mark.skipif(bool(grounded_sam_original.missing()), reason="needs the original packages")
def test_both_routes_draw_the_same_masks(setting, tmp_path, monkeypatch):
    torch.manual_seed(4)
    ours = tiny_sam()
    for parameter in ours.parameters():  # the initial values are too small to tell anything
        torch.nn.init.normal_(parameter, std=0.2)
    folder = write_sam(tmp_path / "sam")
    ours.save_pretrained(folder)
    theirs = original_sam()
    state = {
        original_name(name): value for name, value in ours.state_dict().items() if "prompt_encoder.shared" not in name
    }
    theirs.load_state_dict(state)
    monkeypatch.setattr(grounded_sam_original, "load_sam", lambda checkpoint: theirs.eval())
    (tmp_path / "sam.pth").touch()
    given = annotators.Setting(
        weights=Weights({"sam": folder, "sam-original": tmp_path / "sam.pth"}), device=Device("cpu")
    )
    routes = grounded_sam.TransformersSegmenter(given), grounded_sam_original.OriginalSegmenter(given)
    rng, agreed, filled = np.random.default_rng(0), [], []
    for _ in range(4):
        frame = rng.integers(0, 256, (64, 48, 3), np.uint8)
        low = rng.integers(0, 20, (3, 2))
        boxes = np.concatenate([low, low + rng.integers(10, 26, (3, 2))], axis=1).astype(np.float32)
        one, other = (route.masks(frame, boxes) for route in routes)
        assert one.shape == other.shape == (3, 64, 48)
        agreed.append((one == other).mean())
        filled.append(one.mean())
    assert np.mean(agreed) > 0.999
    assert 0.1 < np.mean(filled) < 0.9


def test_sam_of_an_unknown_kind_is_refused(tmp_path):
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 4, 4, 16)}, tmp_path / "sam.pth")
    with pytest.raises(DataError, match=r"sam\.pth: is no SAM checkpoint"):
        grounded_sam_original.load_sam(tmp_path / "sam.pth")


def small_bert(folder):
    """A text encoder of full-size GroundingDINO, but small."""
    from transformers import BertConfig, BertModel

    write_bert(folder).save_pretrained(folder)
    small = BertConfig(
        vocab_size=1600, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(small).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(bool(grounded_sam_original.missing()), reason="needs the original packages")
def test_both_routes_find_the_same_boxes(tmp_path, monkeypatch):
    """Swin-T at full size with the same random weights: the whole way from a frame to its boxes."""
    torch.manual_seed(0)
    bert = small_bert(tmp_path / "bert")
    theirs = grounded_sam_original.build_detector(bert)
    stirred(theirs, 1)
    torch.save({"model": theirs.state_dict()}, tmp_path / "d.pth")
    folder = write_swin_t(tmp_path / "dino", bert, transformers_names(theirs.state_dict()))
    named = {"groundingdino-original": tmp_path / "d.pth", "bert": bert, "grounding-dino": folder}
    given = annotators.Setting(weights=Weights(named), device=Device("cpu"))
    for name, value in (("_SHORT", 192), ("_LONG", 288), ("BOX_SCORE", 0.02)):
        monkeypatch.setattr(grounded_sam_original, name, value)
    monkeypatch.setattr(grounded_sam, "BOX_SCORE", 0.02)
    frames = np.random.default_rng(0).integers(0, 256, (1, 192, 256, 3), np.uint8)
    routes = grounded_sam.TransformersDetector(given), grounded_sam_original.OriginalDetector(given)
    (one, score), (other, other_score) = (route.boxes(frames)[0] for route in routes)
    assert len(one) == len(other) > 20
    np.testing.assert_allclose(one, other, atol=0.01)
    np.testing.assert_allclose(score, other_score, atol=1e-3)


def write_swin_t(folder, bert, weights):
    """The transformers folder of a Swin-T GroundingDINO with these weights."""
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection

    backbone = swin(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7)
    config = GroundingDinoConfig(backbone_config=backbone, text_config=BertConfig.from_pretrained(bert))
    network = GroundingDinoForObjectDetection(config)
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all("swin.layernorm" in name for name in missing)  # the end of a classifier, which no detector uses
    network.save_pretrained(folder)
    write_processor(folder, shortest=192)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(bool(grounded_sam_original.missing()), reason="needs the original packages")
def test_the_original_detector_runs(tmp_path):
    """Full size with random weights, but for a small BERT."""
    bert = small_bert(tmp_path / "bert")
    model = grounded_sam_original.build_detector(bert)
    torch.save({"model": {f"module.{name}": value for name, value in model.state_dict().items()}}, tmp_path / "d.pth")
    named = {"groundingdino-original": tmp_path / "d.pth", "bert": bert}
    detector = grounded_sam_original.OriginalDetector(annotators.Setting(weights=Weights(named), device=Device("cpu")))
    ((boxes, scores),) = detector.boxes(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8))
    assert boxes.shape == (len(scores), 4)
    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "d.pth")
    with pytest.raises(DataError, match="is no GroundingDINO Swin-T OGC"):
        grounded_sam_original._load(model, tmp_path / "d.pth")
