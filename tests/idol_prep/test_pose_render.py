"""The one pose style: places, colours, sizes, speed."""

import time

import numpy as np
import pytest

from idol_prep.pose import OPENPOSE18_JOINTS, RENDER_STYLE, Keypoints, PoseError, render

STANDING = np.array(
    [
        (64, 20), (64, 32), (54, 33), (46, 48), (40, 60), (74, 33), (84, 44), (92, 32), (58, 68),
        (55, 90), (54, 115), (70, 68), (74, 90), (76, 115), (61, 17), (67, 17), (57, 20), (71, 20),
    ],
    np.float32,
)  # fmt: skip
LOOKS = [
    [0.0, 0.0, 0.0, 2.0, 2.4, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 27.3, 27.1, 3.5, 0.0, 0.0],
    [0.0, 0.0, 7.6, 31.7, 34.1, 21.8, 0.0, 0.0],
    [0.0, 0.0, 26.1, 10.5, 20.7, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 18.8, 20.5, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 21.8, 17.4, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 17.0, 13.6, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 9.9, 8.0, 0.0, 0.0, 0.0],
]
"""Mean brightness of 8 x 8 tiles of `STANDING` at 128 pixels."""
RIGHT_WRIST = OPENPOSE18_JOINTS.index("right_wrist")


def person(frames: int = 1, people: int = 1, score: float = 1.0) -> Keypoints:
    xy = np.broadcast_to(STANDING, (frames, people, 18, 2)).copy()
    return Keypoints(xy=xy, score=np.full((frames, people, 18), score, np.float32))


def test_joints_have_their_rainbow_colour_where_they_are():
    picture = render(person(), (512, 512), (128, 128))[0]
    assert picture[80, 256].tolist() == [255, 0, 0]
    assert picture[240, 160].tolist() == [170, 255, 0]
    assert picture[128, 368].tolist() == [0, 255, 85]


def test_the_same_drawing_at_any_size():
    small = render(person(), (128, 128), (128, 128))[0].astype(float)
    large = render(person(), (512, 512), (128, 128))[0].reshape(128, 4, 128, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - large).mean() < 1.5
    wide = render(person(), (64, 256), (128, 128))[0]
    assert wide[10, 128].argmax() == 0


def test_low_scores_are_not_drawn():
    keypoints = person()
    keypoints.score[0, 0, RIGHT_WRIST] = 0.29
    with_wrist, without = render(person(), (128, 128), (128, 128)), render(keypoints, (128, 128), (128, 128))
    assert with_wrist[0, 60, 40].max() == 255
    assert without[0, 56:64, 36:42].max() == 0
    assert render(person(score=0.29), (128, 128), (128, 128)).max() == 0
    assert render(person(score=0.29), (128, 128), (128, 128), threshold=0.2).max() == 255


def test_every_person_is_drawn():
    two = person(people=2)
    two.xy[0, 1, :, 0] -= 40
    picture = render(two, (128, 128), (128, 128))[0]
    assert picture[20, 64, 0] == picture[20, 24, 0] == 255


def test_people_outside_and_missing_are_no_error():
    away = person()
    away.xy[...] += 1000
    assert render(away, (64, 64), (128, 128)).max() == 0
    away.xy[...] = np.nan
    assert render(away, (64, 64), (128, 128)).max() == 0
    nobody = Keypoints(xy=np.zeros((2, 0, 18, 2), np.float32), score=np.zeros((2, 0, 18), np.float32))
    assert render(nobody, (64, 64), (128, 128)).shape == (2, 64, 64, 3)


def test_the_style_has_not_changed_under_its_name():
    """A trained model has seen exactly these pictures: whoever changes them gives the style a new name."""
    picture = render(person(), (128, 128), (128, 128))[0]
    assert RENDER_STYLE == "idol-openpose18-v1"
    np.testing.assert_allclose(picture.reshape(8, 16, 8, 16, 3).mean(axis=(1, 3, 4)), LOOKS, atol=0.3)


@pytest.mark.slow
def test_speed_at_128():
    keypoints = person(frames=64)
    started = time.perf_counter()
    render(keypoints, (128, 128), (128, 128))
    assert 64 / (time.perf_counter() - started) > 400


def whole_body(format: str, first: int) -> Keypoints:
    """A person whose face is a small ring and whose hands are two fans."""
    count = {"wholebody133": 133, "wholebody134": 134}[format]
    xy, score = np.zeros((1, 1, count, 2), np.float32), np.zeros((1, 1, count), np.float32)
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    xy[0, 0, first : first + 68] = 64 + 12 * np.stack([np.cos(around), np.sin(around)], -1)
    score[0, 0, first : first + 68] = 1
    for hand, x in enumerate((20, 100)):
        for joint in range(21):
            finger, along = divmod(joint - 1, 4) if joint else (2, -1)
            xy[0, 0, first + 68 + 21 * hand + joint] = (x + 3 * (finger - 2), 110 - 5 * (along + 1))
            score[0, 0, first + 68 + 21 * hand + joint] = 1
    return Keypoints(xy=xy, score=score, format=format)  # type: ignore[arg-type]


@pytest.mark.parametrize(("format", "first"), [("wholebody133", 23), ("wholebody134", 24)])
def test_whole_bodies_are_drawn_with_face_and_fingers(format: str, first: int) -> None:
    keypoints = whole_body(format, first)
    (drawn,) = render(keypoints, (128, 128), (128, 128), style="whole_body")
    white = (drawn > 200).all(-1)
    assert white[76, 64]
    assert white[64, 76]
    assert not white[64, 64]
    coloured = drawn.max(-1) > 100
    assert coloured[85:112, 10:32].any()
    assert coloured[85:112, 90:112].any()
    assert len({tuple(c) for c in drawn[92, 10:32][drawn[92, 10:32].max(-1) > 200]}) >= 4
    assert not render(keypoints, (128, 128), (128, 128)).any()


def test_bodies_without_hands_cannot_be_drawn_with_them() -> None:
    body = Keypoints(xy=np.zeros((1, 1, 18, 2), np.float32), score=np.ones((1, 1, 18), np.float32))
    with pytest.raises(PoseError, match="openpose18 keypoints have no hands and face"):
        render(body, (64, 64), (64, 64), style="whole_body")
