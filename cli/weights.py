"""``idol weights``: the published weights that recipes start from. Nothing is fetched but by ``get``."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cli._output import Output

if TYPE_CHECKING:
    from idol_model.weights_names import WeightsName

_MEGA = 1e6
_Json = Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")]
_Names = Annotated[list[str], typer.Argument(help="Names, as `idol weights list` shows them.")]


def register(app: typer.Typer) -> None:
    """Add ``idol weights list | get | verify``."""
    group = typer.Typer(
        help="Published weights: what there is, what is here, bring it, check it.", no_args_is_help=True
    )
    group.command("list", help="Sources, licences, and which are on this machine. Works offline.")(_list)
    group.command("get", help="Bring weights from the hub into its cache.")(_get)
    group.command("verify", help="Hash the files that are here and compare with what the hub promised.")(_verify)
    app.add_typer(group, name="weights")


def _list(as_json: _Json = False) -> None:
    from idol_model.weights import sources, store

    out = Output.of(json=as_json)
    found: list[dict[str, Any]] = []
    for name, source in sources.SOURCES.items():
        folder = sources.find(name)
        found.append(
            {
                "name": name,
                "repo": source.repo,
                "fills": source.fills,
                "licence": source.licence,
                "folder": folder,
                "bytes": None if folder is None else store.size(folder),
                "get": source.command,
            }
        )
    out.table(
        "Published weights",
        ["name", "fills", "from", "licence", "here"],
        [[row["name"], row["fills"], row["repo"], row["licence"], _megabytes(row["bytes"])] for row in found],
    )
    out.result({"weights": found})


def _get(names: _Names, as_json: _Json = False) -> None:
    from idol_model.weights import sources, store

    out = Output.of(json=as_json)
    brought = []
    for name in _known(names):
        source = sources.SOURCES[name]
        out.line(f"{name}  from {source.repo}, licence: {source.licence}")
        folder = store.get(name)
        out.line(f"{name}  {_megabytes(store.size(folder))} in {folder}")
        brought.append({"name": name, "folder": folder, "bytes": store.size(folder)})
    out.result({"weights": brought})


def _verify(names: _Names, as_json: _Json = False) -> None:
    from idol_model.weights import sources, store

    out = Output.of(json=as_json)
    rows = []
    for name in _known(names):
        folder = sources.require(name)
        for file in store.verify(folder):
            state = "whole" if file.whole else "DAMAGED"
            rows.append({"weights": name, "file": file.name, "bytes": file.size, "hash": file.found, "state": state})
    out.table(
        "Files",
        ["weights", "file", "size", "hash", "state"],
        [[row["weights"], row["file"], _megabytes(row["bytes"]), row["hash"][:16], row["state"]] for row in rows],
    )
    out.result({"files": rows})
    damaged = [f"{row['weights']}/{row['file']}" for row in rows if row["state"] == "DAMAGED"]
    if damaged:
        raise ValueError(f"{', '.join(damaged)}: not what the hub promised; delete it and run `idol weights get` again")


def _known(names: list[str]) -> "list[WeightsName]":
    from idol_model.weights import sources

    unknown = [name for name in names if name not in sources.SOURCES]
    if unknown:
        raise ValueError(f"weights {unknown[0]!r}: unknown; choose from {', '.join(sources.SOURCES)}")
    return cast("list[WeightsName]", names)


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / _MEGA:,.1f} MB"
