"""``idol train --list``: the recipes, and the rows of the paper that they reproduce."""

from typing import Any

from cli._output import Output


def say_recipes(out: Output) -> None:
    """All recipes by name."""
    from idol_model import recipes

    rows = [[name, recipes.get(name).summary] for name in recipes.names()]
    out.table("Recipes", ["name", "what it is"], rows)
    out.result({"recipes": [{"name": name, "summary": text, "paper": _published(name)} for name, text in rows]})


def _published(name: str) -> list[dict[str, Any]]:
    """The rows of the paper that a recipe reproduces, with their published figures."""
    from idol_eval import paper_values
    from idol_model import recipes

    found = [
        (place, paper_values.select(place.table, place.dataset, (place.row,))[0]) for place in recipes.places(name)
    ]
    return [
        {
            "table": place.table,
            "row": place.row,
            "dataset": place.dataset,
            "depth": row.depth,
            "figures": dict(row.values),
        }
        for place, row in found
    ]
