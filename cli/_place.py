"""``--device`` and ``--dtype``: the same words, and one answer, in every command that runs networks."""

from typing import TYPE_CHECKING, Annotated

import typer

from idol_model.device import DeviceName, DtypeName

if TYPE_CHECKING:
    from idol_model.device import Placement

DeviceOption = Annotated[
    DeviceName, typer.Option(help="Where to run; auto is an NVIDIA GPU where there is one, else the CPU.")
]
DtypeOption = Annotated[
    DtypeName, typer.Option(help="What the model computes in; auto is bf16 on a GPU that has it, else fp32.")
]


def place(device: DeviceName, dtype: DtypeName = "auto") -> "Placement":
    """Device and type, both checked; raises ValueError naming the option that does not fit."""
    from idol_model.device import place

    return place(device, dtype)
