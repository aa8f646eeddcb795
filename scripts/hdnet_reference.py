"""Makes the reference that the HDNet port is tested against, in TensorFlow itself.

    python scripts/hdnet_reference.py OUT [--widths 4 6 8 8 10] [--side 32] [--seed 0]

Builds HDNet's two graphs (TensorFlow 1 semantics: batch norm on batch statistics, bilinear without half-pixel centres)
with random weights, runs them on random pictures, and writes the two checkpoints and what went in and came out. Needs
TensorFlow, which this project does not depend on.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--widths", type=int, nargs=5, default=(4, 6, 8, 8, 10))
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    side = chosen.side
    rgb = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    densepose = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side // 8 : -side // 8, side // 4 : -side // 5] = True
    shown = np.where(mask[..., None], rgb, 255).astype(np.float32)
    normal = run(shown, 3, chosen, chosen.out / "normal", "hourglass_normal_prediction")
    unit = np.where(mask[..., None], normal / np.linalg.norm(normal, axis=-1, keepdims=True), 0)
    whole = np.concatenate([shown, unit, densepose], axis=-1)
    depth = run(whole, 1, chosen, chosen.out / "depth", "hourglass_stack_fused_depth_prediction")
    np.savez_compressed(chosen.out / "reference.npz", rgb=rgb, densepose=densepose, mask=mask, depth=depth[..., 0])


def run(picture: np.ndarray, channels: int, chosen: argparse.Namespace, prefix: Path, scope: str) -> np.ndarray:
    """One network with random weights on one picture; its checkpoint goes to ``prefix``."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(chosen.seed)
        x = v1.placeholder(tf.float32, (1, chosen.side, chosen.side, picture.shape[-1]))
        with v1.variable_scope(scope):
            y = hourglass(x, channels, chosen.widths)
        v1.train.get_or_create_global_step()
        session.run(v1.global_variables_initializer())
        prefix.parent.mkdir(parents=True, exist_ok=True)
        v1.train.Saver().save(session, str(prefix), write_meta_graph=False, write_state=False)
        return session.run(y, {x: picture[None]})[0]


def hourglass(x, channels, widths):
    a, b, c, d, e = widths
    number = 0

    def conv(value, width, size=3, plain=False):
        nonlocal number
        number += 1
        with v1.variable_scope(f"conv{number}"):
            shape = (size, size, int(value.shape[-1]), width)
            kernel = v1.get_variable("weights", shape, initializer=v1.glorot_normal_initializer())
            bias = v1.get_variable("biases", (width,), initializer=v1.random_normal_initializer())
            value = tf.nn.conv2d(value, kernel, 1, "SAME") + bias
            if plain:
                return value
            beta = v1.get_variable("beta", (width,), initializer=v1.random_normal_initializer())
            v1.get_variable("moving_mean", (width,), trainable=False)
            mean, variance = tf.nn.moments(value, (0, 1, 2))
            return tf.nn.relu(tf.nn.batch_normalization(value, mean, variance, beta, None, 1e-3))

    def double(value):
        return v1.image.resize_bilinear(value, (2 * int(value.shape[1]), 2 * int(value.shape[2])))

    def pool(value):
        return tf.nn.max_pool2d(value, 2, 2, "SAME")

    c2 = conv(conv(conv(x, a), a), a)
    c3 = conv(pool(c2), b)
    c4 = conv(pool(c3), c)
    c5 = conv(pool(c4), d)
    y = conv(conv(conv(pool(c5), e), e), d)
    for skip, wide, narrow in ((c5, d, c), (c4, c, b), (c3, b, a), (c2, a, a)):
        y = conv(conv(tf.concat([double(y), skip], 3), wide), narrow)
    return conv(y, channels, size=1, plain=True)


if __name__ == "__main__":
    main()
