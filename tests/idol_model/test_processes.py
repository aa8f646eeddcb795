"""Processes of one run wait for each other by name."""

import time
from datetime import timedelta

import pytest
import torch
from forked import forked
from torch import distributed

from idol_model.processes import Alone, ProcessMissing, Together

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_one_process_waits_for_nobody() -> None:
    group = Alone()
    with group.watched("a step"):
        group.wait("here")
    assert (group.main, group.from_main("a"), group.all_of([1, 2])) == (True, "a", [1, 2])


def test_several_agree_and_gather_by_rank(tmp_path) -> None:
    def work(group: Together) -> tuple:
        group.wait("here")
        return group.main, group.from_main(f"of {group.rank}"), group.all_of([group.rank] * group.rank)

    assert forked(3, tmp_path, work) == [(rank == 0, "of 0", [1, 2, 2]) for rank in range(3)]


@pytest.mark.parametrize("absent", [2])
def test_who_does_not_come_in_time_is_named(absent: int, tmp_path) -> None:
    def work(group: Together) -> None:
        if group.rank == absent:
            time.sleep(2.5)
        else:
            with group.watched("a step"):  # which has nothing to add
                group.wait("the latent cache")

    said = forked(3, tmp_path, work, timeout=1.0)
    assert isinstance(said[0], ProcessMissing)
    assert str(said[0]).startswith(f"the latent cache: rank {absent} did not come within 1 s, of 3 processes; ")
    assert "rank 0 names" in str(said[3 - absent])


def test_a_collective_of_a_step_that_waits_in_vain_names_the_rank(tmp_path) -> None:
    def work(group: Together) -> None:
        gradients = distributed.new_group(backend="gloo", timeout=timedelta(seconds=1))
        if group.rank == 1:
            time.sleep(3.5)
            return
        with group.watched("stage video, step 3"):
            distributed.all_reduce(torch.ones(2), group=gradients)

    said = forked(2, tmp_path, work, timeout=1.0)
    assert isinstance(said[0], ProcessMissing)
    assert "stage video, step 3: rank 1 did not come" in str(said[0])
    with pytest.raises(RuntimeError, match="of another kind"), Alone().watched("x"):
        raise RuntimeError("of another kind")
