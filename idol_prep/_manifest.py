"""The manifest: one row a clip, flat columns to query and the whole record as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from idol_prep._errors import DataError
from idol_prep._files import replaced
from idol_prep._records import ClipRecord

_FLAT = ("id", "split", "source", "fps", "start_frame", "frames", "height", "width", "keypoint_format", "sha256")
_DEPTH = {"low": "float64", "high": "float64", "polarity": "string", "scope": "string"}


def read_manifest(file: Path) -> tuple[ClipRecord, ...]:
    """The records in their order. Raises `DataError` for a damaged file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(file, columns=["record"]).column("record").to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{file}: cannot be read ({error}); prepare the dataset again") from error
    return tuple(ClipRecord.from_dict(json.loads(row)) for row in rows)


def write_manifest(file: Path, records: list[ClipRecord]) -> None:
    """Write the records in the order given, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [record.to_dict() for record in records]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in _FLAT}
    for name, kind in _DEPTH.items():
        columns[f"depth_{name}"] = pa.array([(row["depth"] or {}).get(name) for row in rows], kind)
    columns["approximate"] = pa.array([row["approximate"] for row in rows], pa.list_(pa.string()))
    columns["record"] = [json.dumps(row) for row in rows]
    with replaced(file) as stream:
        pq.write_table(pa.table(columns), stream)
