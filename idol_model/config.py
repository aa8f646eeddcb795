"""Typed configuration: frozen dataclasses to and from JSON, and ``field=value`` overrides.

A configuration is a tree of frozen keyword-only dataclasses. A field whose type is a union of dataclasses carries the
choice in the ``kind`` field of the data, so a tree reads back as exactly the classes it was made of.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration names an unknown field or holds a value of the wrong type."""


def to_dict(config: Any) -> Any:
    """The configuration as plain JSON data: dataclasses become dicts, tuples become lists."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, (list, tuple)):
        return [to_dict(item) for item in config]
    if isinstance(config, Mapping):
        return {name: to_dict(value) for name, value in config.items()}
    return config


def from_dict(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """Rebuild ``cls`` from `to_dict` data.

    Raises:
        ConfigError: an unknown or missing field, or a value of the wrong type; the message names the field.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path or cls.__name__}: expected the fields of {cls.__name__}, got {data!r}")
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise ConfigError(f"{_join(path, unknown[0])}: unknown field; choose from {', '.join(sorted(fields))}")
    hints = typing.get_type_hints(cls)
    values = {name: _parse(hints[name], value, _join(path, name)) for name, value in data.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{path or cls.__name__}: {error}") from None


def override(config: T, assignments: Sequence[str]) -> T:
    """A copy of ``config`` with ``a.b=value`` assignments applied, in order.

    Values are JSON where they parse as JSON, else text. List items are addressed by position (``stages.0.steps=5``).

    Raises:
        ConfigError: the assignment has no ``=``, the field is unknown or the value does not fit.
    """
    data = to_dict(config)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ConfigError(f"{assignment!r}: write field=value, for example seed=7")
        _assign(data, name.strip().split("."), _value(text), name)
    return from_dict(type(config), data)


def _assign(data: Any, keys: list[str], value: Any, name: str) -> None:
    *parents, last = keys
    for key in parents:
        data = data[_key(data, key, name)]
    key = _key(data, last, name)
    data[key] = value


def _key(data: Any, key: str, name: str) -> Any:
    if isinstance(data, list) and key.isdigit() and int(key) < len(data):
        return int(key)
    if isinstance(data, dict) and key in data:
        return key
    choices = range(len(data)) if isinstance(data, list) else sorted(data) if isinstance(data, dict) else ()
    raise ConfigError(f"{name}: no field {key!r}; choose from {', '.join(map(str, choices)) or 'nothing below'}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _parse(hint: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path)
    if origin in (types.UnionType, typing.Union):
        return _parse_union(args, value, path)
    if origin is tuple:
        return _parse_tuple(args, value, path)
    if origin is Mapping:
        return _parse_mapping(args[1], value, path)
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{path}: {value!r} is not one of {', '.join(map(repr, args))}")
    return _parse_scalar(hint, value, path)


def _parse_union(args: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in args:
        return None
    choices = [arg for arg in args if arg is not type(None)]
    by_name = [choice for choice in choices if typing.get_origin(choice) is Mapping]
    if by_name:
        return _parse(by_name[0] if isinstance(value, Mapping) else choices[0], value, path)
    if isinstance(value, Mapping) and len(choices) > 1:
        kinds = {typing.get_args(typing.get_type_hints(choice)["kind"])[0]: choice for choice in choices}
        if value.get("kind") not in kinds:
            raise ConfigError(f"{path}.kind: {value.get('kind')!r} is not one of {', '.join(map(repr, kinds))}")
        return from_dict(kinds[value["kind"]], value, path)
    return _parse(choices[0], value, path)


def _parse_tuple(args: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{path}: expected a list, got {value!r}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_parse(args[0], item, f"{path}.{i}") for i, item in enumerate(value))
    if len(value) != len(args):
        raise ConfigError(f"{path}: expected {len(args)} values, got {len(value)}: {value!r}")
    return tuple(_parse(arg, item, f"{path}.{i}") for i, (arg, item) in enumerate(zip(args, value, strict=True)))


def _parse_mapping(hint: Any, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: expected values by name, got {value!r}")
    return {str(name): _parse(hint, item, _join(path, str(name))) for name, item in value.items()}


def _parse_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise ConfigError(f"{path}: expected {hint.__name__}, got {value!r}")
