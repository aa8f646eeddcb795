"""Writing safetensors files and hashing them in one pass; the bytes are those that ``safetensors.torch`` writes.

The package writes a file whole and gives no hash, so that a checkpoint would be read again for it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

_DTYPES = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names of the format, in the order in which it stores them: wide numbers first, so that all are aligned."""
_CHUNK = 1 << 24


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write the file, flush it to the disk, and return the SHA-256 of its bytes in hexadecimal.

    Raises:
        OSError: the disk is full or not writable; it names the file.
        ValueError: the format has no name for a tensor's dtype.
    """
    plain = {name: tensors[name].detach().cpu().contiguous() for name in _ordered(tensors)}
    digest = hashlib.sha256()
    try:
        with path.open("wb") as file:
            for chunk in _chunks(plain):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    return digest.hexdigest()


def _ordered(tensors: Mapping[str, Tensor]) -> list[str]:
    unknown = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype not in _DTYPES]
    if unknown:
        raise ValueError(f"safetensors: has no name for the dtype of {', '.join(unknown)}")
    rank = {dtype: number for number, dtype in enumerate(_DTYPES)}
    return sorted(tensors, key=lambda name: (rank[tensors[name].dtype], name))


def _chunks(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The file's bytes: length of the header, header, tensors one after another."""
    fields, end = {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        fields[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    header = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    for tensor in tensors.values():
        content = tensor.reshape(-1).view(torch.uint8).numpy().data
        for begin in range(0, len(content), _CHUNK):
            yield content[begin : begin + _CHUNK]
