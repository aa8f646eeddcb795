"""The four kinds of folders that `idol_eval.samples.open_set` knows. Each decodes a frame once."""

from idol_eval.readers.generated import SampleSet
from idol_eval.readers.pictures import PictureSet
from idol_eval.readers.prepared import PreparedSet
from idol_eval.readers.videos import VideoSet

__all__ = ["PictureSet", "PreparedSet", "SampleSet", "VideoSet"]
