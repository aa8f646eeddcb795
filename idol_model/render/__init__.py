"""2.5D from a video and its depth: a page to turn by hand, point clouds for other tools. No GPU, no heavy packages."""

from idol_model.render.exports import EXPORTS, export
from idol_model.render.point_cloud import write_ply
from idol_model.render.viewer import viewer_html

__all__ = ["EXPORTS", "export", "viewer_html", "write_ply"]
