"""Recipes by name: each is a function that returns a configuration, never a copied file."""

from collections.abc import Callable
from dataclasses import dataclass

from idol_model.config import ConfigError
from idol_model.recipe import Recipe
from idol_model.recipes import rows
from idol_model.recipes.debug import debug
from idol_model.recipes.demo import demo
from idol_model.recipes.idol import haop, haop_24gb, idol, idol_24gb, idol_literal


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the paper: table, the row's name in `idol_eval.paper_values`, data set."""

    table: int
    row: str
    dataset: str = "tiktok"


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe, and the rows of the paper that it reproduces on the data they name."""

    make: Callable[[], Recipe]
    places: tuple[Place, ...] = ()


_DENOISING_ALONE = (
    Place(4, "shared U-Net + cross-modal attention"),
    Place(5, "denoising alone"),
    Place(8, "independent maps"),
)

_RECIPES: dict[str, Entry] = {
    "idol": Entry(
        idol,
        (
            Place(1, "IDOL"),
            Place(1, "IDOL", "ntu120"),
            Place(3, "IDOL: OpenPose, handcrafted, ControlNet"),
            Place(5, "+ L_xattn + L_mo"),
            Place(6, "HAOP"),
        ),
    ),
    "demo": Entry(demo),
    "debug": Entry(debug),
    "midas": Entry(rows.midas, (Place(2, "IDOL"), Place(2, "IDOL", "ntu120"))),
    "animatediff": Entry(rows.animatediff, (Place(3, "IDOL: OpenPose, AnimateDiff, ControlNet"),)),
    "dwpose": Entry(rows.dwpose, (Place(3, "IDOL: DWPose, AnimateDiff, ControlNet"),)),
    "t2i-adapter": Entry(rows.t2i_adapter, (Place(3, "IDOL: DWPose, AnimateDiff, T2I-Adapter"),)),
    "separate": Entry(rows.separate, (Place(4, "separate U-Nets"),)),
    "shared": Entry(rows.shared, (Place(4, "shared U-Net"),)),
    "coupled": Entry(rows.coupled, _DENOISING_ALONE),
    "xattn": Entry(rows.xattn, (Place(5, "+ L_xattn"), Place(8, "L_xattn"))),
    "no-pretraining": Entry(rows.no_pretraining, (Place(6, "without pre-training"),)),
    "after-hap": Entry(rows.after_hap, (Place(6, "HAP"),)),
    "maps-averaged": Entry(rows.maps_averaged, (Place(8, "one map: average"),)),
    "maps-video": Entry(rows.maps_video, (Place(8, "one map: the video's"),)),
    "ldm3d": Entry(rows.ldm3d, (Place(1, "LDM3D"), Place(1, "LDM3D", "ntu120"))),
    "mm-diffusion": Entry(rows.mm_diffusion, (Place(1, "MM-Diffusion"), Place(1, "MM-Diffusion", "ntu120"))),
    "video-only": Entry(rows.video_only, (Place(1, "DisCo"), Place(1, "DisCo", "ntu120"))),
    "midas-ldm3d": Entry(rows.midas_ldm3d, (Place(2, "LDM3D"), Place(2, "LDM3D", "ntu120"))),
    "midas-mm-diffusion": Entry(
        rows.midas_mm_diffusion, (Place(2, "MM-Diffusion"), Place(2, "MM-Diffusion", "ntu120"))
    ),
    "midas-video-only": Entry(rows.midas_video_only, (Place(2, "DisCo"), Place(2, "DisCo", "ntu120"))),
    "haop": Entry(haop),
    "hap": Entry(rows.hap),
    "idol-literal": Entry(idol_literal),
    "idol-24gb": Entry(idol_24gb),
    "haop-24gb": Entry(haop_24gb),
}


def names() -> tuple[str, ...]:
    """All recipes, the paper's main one first."""
    return tuple(_RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    return _entry(name).make()


def places(name: str) -> tuple[Place, ...]:
    """The rows of the paper that a recipe reproduces; none for those of our own and for pre-training."""
    return _entry(name).places


def _entry(name: str) -> Entry:
    if name not in _RECIPES:
        raise ConfigError(f"recipe {name!r}: unknown; choose from {', '.join(_RECIPES)}")
    return _RECIPES[name]
