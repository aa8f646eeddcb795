"""Every process holds a share of each weight, its gradient and its moments (FSDP, ZeRO's third stage)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from idol_model.engines.machine import Autocast
from idol_model.engines.replicated import Model, Replicated
from idol_model.processes import TIMEOUT
from idol_model.recipe import Recipe

_ALSO_FORWARD = ("prepare", "read", "project")
"""Methods that use a module's weights as ``forward`` does (`idol_model.pose_control`, `idol_model.foreground`)."""


class Sharded(Replicated):
    """Weights are brought together for a unit while it runs. A stage without units is replicated."""

    def __init__(self, accelerator: Accelerator, recipe: Recipe, timeout: float = TIMEOUT) -> None:
        super().__init__(accelerator, recipe, timeout)
        if accelerator.num_processes < 2:
            raise ValueError("engine fsdp: shares weights among processes, and there is one; start it with torchrun")
        if recipe.optimizer == "adamw_8bit":
            raise ValueError("engine fsdp: optimizer=adamw_8bit keeps blocks of whole weights; set optimizer=adamw")
        self._mesh = init_device_mesh(self.device.type, (accelerator.num_processes,))

    def wrapped(self, module: nn.Module, units: list[nn.Module]) -> nn.Module:
        held = [unit for unit in units if next(unit.parameters(), None) is not None]
        if not held:
            return super().wrapped(module, units)
        for unit in held:
            if not isinstance(unit, FSDPModule):
                fully_shard(unit, mesh=self._mesh)
                for name in _ALSO_FORWARD:
                    if hasattr(unit, name):
                        register_fsdp_forward_method(unit, name)
        return Autocast(module, self.accelerator)

    @contextmanager
    def unsynchronised(self, module: nn.Module) -> Iterator[None]:
        shards = [unit for unit in module.modules() if isinstance(unit, FSDPModule)]
        for unit in shards:
            unit.set_requires_gradient_sync(False, recurse=False)
        try:
            yield
        finally:
            for unit in shards:
                unit.set_requires_gradient_sync(True, recurse=False)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor for name, tensor in tensors.items()
        }

    def placed(self, value: Tensor, like: Tensor) -> Tensor:
        if not isinstance(like, DTensor) or not value.ndim:
            return super().placed(value, like)
        return distribute_tensor(value.to(self.device), self._mesh, like.placements)

    def plain(self, model: Model, make: Callable[[], Model]) -> Model:
        if not any(isinstance(module, FSDPModule) for module in model.modules()):
            return model
        fresh = make().requires_grad_(False)
        fresh.load_state_dict(self.whole(model.state_dict()))
        return fresh
