"""``idol prep coco`` and its siblings."""

import json

from still_material import write_coco, write_deepfashion2, write_shhq
from typer.testing import CliRunner

from cli.main import build_app
from idol_prep.schema import StillSet

GENEROUS = ("--limit", "min_area=0.01", "--limit", "min_person=64")


def idol(*words: object):
    """Run ``idol`` with these words; stdout and stderr apart."""
    return CliRunner().invoke(build_app(), [str(word) for word in words])


def test_coco_as_json(tmp_path):
    write_coco(tmp_path / "raw")
    out = tmp_path / "out"
    done = idol("prep", "coco", tmp_path / "raw", "--part", "val2017", "-o", out, "--json", *GENEROUS)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["pictures"], result["kept"]) == (7, 2)
    assert result["rejected"] == {"no person": 2, "people": 2, "unreadable": 1}
    assert result["content_hash"] == StillSet.open(out).content_hash


def test_shards_of_a_run_and_what_is_said_before_the_last(tmp_path):
    write_shhq(tmp_path / "raw")
    words = ("prep", "shhq", tmp_path / "raw", "-o", tmp_path / "out", "--per-shard", 2, *GENEROUS)
    first = idol(*words, "--shard", "1/2")
    assert first.exit_code == 0, first.stderr
    assert "not finished: other shards are still to be done" in first.stdout
    assert idol(*words, "--shard", "2/2").exit_code == 0
    assert len(StillSet.open(tmp_path / "out")) == 4


def test_verify_finds_a_changed_shard(tmp_path):
    write_shhq(tmp_path / "raw")
    idol("prep", "shhq", tmp_path / "raw", "-o", tmp_path / "out", *GENEROUS)
    good = idol("prep", "verify", tmp_path / "out", "--json")
    assert (good.exit_code, json.loads(good.stdout)["frames"]) == (0, 4)
    shard = tmp_path / "out" / "shards" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    bad = idol("prep", "verify", tmp_path / "out")
    assert bad.exit_code == 1
    assert "is missing or changed" in bad.stdout


def test_a_dry_run_writes_nothing(tmp_path):
    write_coco(tmp_path / "raw")
    done = idol(
        "prep", "coco", tmp_path / "raw", "--part", "val2017", "-o", tmp_path / "out", "--dry-run", "--json", *GENEROUS
    )
    assert done.exit_code == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["pictures"], plan["tried"], plan["good"]) == (7, 7, 2)
    assert not (tmp_path / "out").exists()


def test_mistakes_in_one_line(tmp_path):
    write_deepfashion2(tmp_path / "raw")
    for words, complaint in (
        (("deepfashion2", tmp_path / "raw", "--mask", "dataset"), "deepfashion2 ships no masks"),
        (("laion", tmp_path / "raw"), "holds no 00000.tar"),
        (("shhq", tmp_path / "raw"), "holds no no_segment/"),
        (("deepfashion2", tmp_path / "raw", "--limit", "min_face=3"), "no such limit; choose from min_side"),
        (("deepfashion2", tmp_path / "raw", "--license-policy", "comercial"), "licence policy 'comercial'"),
    ):
        done = idol("prep", *words, "-o", tmp_path / "out")
        assert done.exit_code == 2
        assert complaint in done.stderr


def test_a_dataset_as_tsv_and_back(tmp_path):
    assert idol("prep", "synthetic", "-o", tmp_path / "a", "--clips", 1, "--size", 64, "--frames", 8).exit_code == 0
    done = idol("prep", "export-tsv", tmp_path / "a", "-o", tmp_path / "tsv", "--json")
    assert done.exit_code == 0, done.stderr
    assert sum(json.loads(done.stdout)["rows"].values()) == 8
    plan = idol("prep", "disco-tsv", tmp_path / "tsv", "-o", tmp_path / "b", "--dry-run", "--json")
    assert plan.exit_code == 0, plan.stderr
    assert json.loads(plan.stdout)["frames"] == 8
