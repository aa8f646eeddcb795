"""Grounded-SAM 2 with tiny networks of the real classes: frame by frame as transformers' own pass over a video."""

import numpy as np
import pytest
import torch
from tiny_grounding_dino import write_detector

from idol_prep import annotators
from idol_prep.annotators import _yolox, grounded_sam, grounded_sam2
from idol_prep.annotators.device import Device
from idol_prep.annotators.protocol import Batch, MaskAnnotator
from idol_prep.annotators.weights import Weights
from idol_prep.schema import DataError

SIDE, WIDTH = 128, 128
LENGTH = 9


def vision():
    from transformers import Sam2HieraDetConfig, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    sizes = [[SIDE // scale, SIDE // scale] for scale in (4, 8, 16)]
    return Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=sizes,
        fpn_hidden_size=WIDTH,
    )


def tiny_sam2():
    """Memory has the published 64 channels, half of the features', as the class expects."""
    from transformers import Sam2VideoConfig, Sam2VideoMaskDecoderConfig, Sam2VideoModel, Sam2VideoPromptEncoderConfig

    config = Sam2VideoConfig(
        vision_config=vision(),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=WIDTH, image_size=SIDE, mask_input_channels=4),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
        ),
        image_size=SIDE,
        memory_attention_hidden_size=WIDTH,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[SIDE // 16, SIDE // 16],
        memory_encoder_hidden_size=WIDTH,
        mask_downsampler_embed_dim=WIDTH,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    model = Sam2VideoModel(config)
    for name, parameter in model.named_parameters():  # the initial values are too small to tell anything
        if parameter.dim() > 1 and "position" not in name:
            torch.nn.init.normal_(parameter, std=0.1)
    score = model.mask_decoder.pred_obj_score_head.proj_out
    torch.nn.init.constant_(score.bias, 20.0)  # everybody is in sight
    return model


def write_sam2(folder):
    from transformers import Sam2VideoProcessor, Sam2VideoVideoProcessor
    from transformers.models.sam2 import Sam2ImageProcessor

    size, masks = {"height": SIDE, "width": SIDE}, {"height": SIDE // 4, "width": SIDE // 4}
    tiny_sam2().save_pretrained(folder)
    pictures = Sam2ImageProcessor(size=size, mask_size=masks)
    Sam2VideoProcessor(pictures, Sam2VideoVideoProcessor(size=size)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("gsam2")
    named = {"grounding-dino": write_detector(home / "dino"), "sam2": write_sam2(home / "sam2")}
    return annotators.Setting(weights=Weights(named), device=Device("cpu"))


@pytest.fixture
def made(setting, monkeypatch):
    """The annotator, taking whatever its random detector is unsure of for a person, with short strides."""
    monkeypatch.setattr(grounded_sam, "BOX_SCORE", 0.0)
    monkeypatch.setattr(_yolox, "_SCORE", 0.0)
    monkeypatch.setattr(grounded_sam, "MOST_PEOPLE", 2)
    monkeypatch.setattr(grounded_sam2, "STRIDE", 5)
    return annotators.create_mask("grounded_sam2", setting)


@pytest.fixture(scope="module")
def frames():
    """A bright block that moves over noise."""
    noise = np.random.default_rng(0).integers(0, 128, (LENGTH, 48, 40, 3), np.uint8)
    for number, frame in enumerate(noise):
        frame[10:40, 4 + 2 * number : 18 + 2 * number] += 120
    return noise


def whole_pass(setting, frames):
    """The masks [L,P,H,W] of transformers' own pass over a video that is there as a whole."""
    follower = grounded_sam2.TransformersFollower(setting)
    ((boxes, scores),) = grounded_sam.TransformersDetector(setting).boxes(frames[:1])
    people = grounded_sam.surest(boxes, scores)
    processor, model = follower._processor, follower._model
    # the video processor resizes otherwise than that of pictures: give both the same pixels
    session = processor.init_video_session(video=frames)
    session.processed_frames = dict(enumerate(processor(images=list(frames), return_tensors="pt")["pixel_values"]))
    boxes = [people.astype(float).tolist()]
    processor.add_inputs_to_inference_session(session, 0, list(range(len(people))), input_boxes=boxes)
    with torch.inference_mode():
        found = [out.pred_masks for out in model.propagate_in_video_iterator(session, start_frame_idx=0)]
    return torch.stack([processor.post_process_masks([masks], [frames.shape[1:3]])[0][:, 0] for masks in found]).numpy()


def test_frame_by_frame_is_the_pass_over_the_whole_video(setting, made, frames):
    assert isinstance(made, MaskAnnotator)
    layers = made.mask(Batch(frames=frames[:5]))
    expected = whole_pass(setting, frames[:5])
    assert layers.dtype == np.uint8
    assert set(np.unique(layers)) == {0, 255}
    assert layers.shape == expected.shape
    assert ((layers > 0) == expected).mean() > 0.9999
    assert 0.02 < expected[1:].mean() < 0.98  # those that were followed, not only found


def test_memory_begins_anew_at_key_frames(made, frames):
    whole = made.mask(Batch(frames=frames))
    made.reset()
    behind = made.mask(Batch(frames=frames[5:]))
    people = behind.shape[1]
    np.testing.assert_array_equal(whole[5:, :people], behind)
    assert not whole[5:, people:].any()
    assert len(made._follower._session.processed_frames) == LENGTH - 5  # type: ignore[attr-defined]


def test_memory_says_something(made, frames):
    """Followed masks are others than those that a look at the same frame alone gives."""
    followed = made.mask(Batch(frames=frames[:3]))[2]
    made.reset()
    alone = made.mask(Batch(frames=frames[2:3]))[0]
    assert followed.shape != alone.shape or (followed != alone).any()


def test_how_frames_are_batched_does_not_matter(made, frames):
    whole = made.mask(Batch(frames=frames))
    made.reset()
    parts = [made.mask(Batch(frames=frames[at : at + 4])) for at in range(0, LENGTH, 4)]
    most = max(part.shape[1] for part in parts)
    padded = [np.pad(part, ((0, 0), (0, most - part.shape[1]), (0, 0), (0, 0))) for part in parts]
    np.testing.assert_array_equal(np.concatenate(padded), whole)


def test_people_are_looked_for_until_there_are_some(made, frames, monkeypatch):
    made.reset()
    monkeypatch.setattr(_yolox, "_SCORE", 1.1)
    assert made.mask(Batch(frames=frames[:2])).shape == (2, 0, 48, 40)
    monkeypatch.setattr(_yolox, "_SCORE", 0.0)
    late = made.mask(Batch(frames=frames[2:4]))
    made.reset()
    np.testing.assert_array_equal(made.mask(Batch(frames=frames[2:4])), late)
    assert late.any()


def test_weights_of_another_network_are_refused(setting, tmp_path):
    model = tiny_sam2()
    folder = write_sam2(tmp_path / "sam2")
    state = {name: value for name, value in model.state_dict().items() if "memory_encoder" not in name}
    model.save_pretrained(folder, state_dict=state)
    named = {**setting.weights.named, "sam2": folder}
    given = annotators.Setting(weights=Weights(named), device=Device("cpu"))
    with pytest.raises(DataError, match=r"\d+ weights are missing or of another shape, such as memory_encoder"):
        annotators.create_mask("grounded_sam2", given)
