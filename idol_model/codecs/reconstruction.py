"""How far a decoded picture is from the true one, as codecs are trained."""

from torch import Tensor
from torch.nn import functional


def reconstruction(y_NCHW: Tensor, x_NCHW: Tensor, edge_weight: float) -> dict[str, Tensor]:
    """Squared and absolute difference and that of picture gradients, and ``total``, the sum that is minimised.

    Squared differences come first: absolute ones alone blur what is small, and depth is read from small differences.
    In float32 whatever the decoder gives.
    """
    y_NCHW = y_NCHW.float()
    squared, absolute = functional.mse_loss(y_NCHW, x_NCHW), functional.l1_loss(y_NCHW, x_NCHW)
    edges = sum((functional.mse_loss(y_NCHW.diff(dim=d), x_NCHW.diff(dim=d)) for d in (2, 3)), x_NCHW.new_zeros(()))
    total = 4 * squared + 0.5 * absolute + edge_weight * edges
    return {"total": total, "squared": squared, "absolute": absolute, "edges": edges}
