"""The paper's tables as data: complete, and with the relations that the paper's own text states."""

import pytest

from idol_eval import paper_values
from idol_eval.catalogue import BY_KEY


def value(table: int, dataset: str | None, name: str, key: str) -> float:
    (row,) = paper_values.select(table, dataset, (name,))
    return row.values[key]


def test_every_table_is_there() -> None:
    counts = {table: len(paper_values.select(table)) for table in range(1, 9)}
    assert counts == {1: 16, 2: 8, 3: 4, 4: 3, 5: 3, 6: 3, 7: 3, 8: 4}
    assert all(key in BY_KEY for row in paper_values.rows() for key in row.values)


def test_some_cells() -> None:
    assert value(1, "tiktok", "IDOL", "fvd") == 223.69
    assert value(1, "ntu120", "MRAA", "fvd") == 1441.79
    assert value(2, "ntu120", "IDOL", "depth_mse") == 0.0210
    assert value(7, None, "MM-Diffusion", "memory_MB") == 14651
    assert "depth_mse" not in paper_values.select(1, "tiktok", ("TPS",))[0].values


def test_rows_that_the_tables_share_agree() -> None:
    """The ablations end where Table 1 stands, and each begins where the one before ends."""
    keys = ("fid_fvd", "fvd", "depth_mse", "fid")
    final = [value(1, "tiktok", "IDOL", key) for key in keys]
    for table, name in ((3, "IDOL: OpenPose, handcrafted, ControlNet"), (5, "+ L_xattn + L_mo"), (6, "HAOP")):
        assert [value(table, "tiktok", name, key) for key in keys] == final
    shared = [value(4, "tiktok", "shared U-Net + cross-modal attention", key) for key in keys]
    assert [value(5, "tiktok", "denoising alone", key) for key in keys] == shared
    assert [value(8, "tiktok", "independent maps", key) for key in keys] == shared
    assert [value(8, "tiktok", "L_xattn", key) for key in keys] == [
        value(5, "tiktok", "+ L_xattn", key) for key in keys
    ]


def test_idol_is_best_where_the_paper_says_so() -> None:
    for dataset in ("tiktok", "ntu120"):
        for key in ("fid_fvd", "fvd", "depth_mse", "fid"):
            others = [row.values[key] for row in paper_values.select(1, dataset) if key in row.values]
            assert min(others) == value(1, dataset, "IDOL", key)


def test_rows_are_marked() -> None:
    for row in paper_values.as_rows(paper_values.select(2)):
        assert row.kind == "paper"
        assert "not comparable" in row.notes[0]
        assert "paper, Table 2" in row.name
    with pytest.raises(ValueError, match="no such row"):
        paper_values.select(9)
