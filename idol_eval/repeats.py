"""Several generations of one model as one row: mean, and how much the seed matters."""

from collections.abc import Sequence

import numpy as np

from idol_eval.row import Row


def repeated(name: str, rows: Sequence[Row]) -> Row:
    """Means of ``rows`` with the unbiased standard deviation over them as ``spreads``.

    Values that one of the rows lacks are left out by name. Raises ValueError for fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} run of {name}: a spread needs 2 at least; raise --repeat")
    known = [[row.values.get(key) for row in rows] for key in rows[0].values]
    values: dict[str, float | None] = {}
    spreads: dict[str, float] = {}
    for key, own in zip(rows[0].values, known, strict=True):
        numbers = [value for value in own if value is not None]
        if len(numbers) == len(rows):
            values[key] = float(np.mean(numbers))
            spreads[key] = float(np.std(numbers, ddof=1)) if np.isfinite(numbers).all() else float("nan")
    missing = [key for key in rows[0].values if key not in values]
    return Row(
        name=f"{name}, {len(rows)} seeds",
        kind="measured",
        values=values,
        spreads={key: spread for key, spread in spreads.items() if np.isfinite(spread)},
        counts=rows[0].counts | {"seeds": len(rows)},
        extractors=rows[0].extractors,
        left_out=tuple(f"{key}: one of the seeds has no value" for key in missing),
        notes=rows[0].notes,
        truth=rows[0].truth,
        lossy=rows[0].lossy,
        statistics=rows[0].statistics,
        background=rows[0].background,
        recipe=rows[0].recipe,
    )
