"""A training state as a JSON tree and flat NumPy arrays, and back.

Nothing here unpickles anything, and torch is only imported to rebuild torch tensors.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


State = Any
"""Nested dict, list or tuple of tensors, arrays, numbers, strings, bytes, bools and None."""

Arrays = dict[str, NDArray[Any]]

_MAX_DEPTH = 100
"""Deeper states are refused: they contain themselves, or no JSON reader will take them."""

# What every version of safetensors that we allow stores from NumPy arrays; the rest goes as raw
# bytes, with dtype and shape in the tree.
_NATIVE = frozenset(
    np.dtype(code).name
    for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
)


def encode(state: State) -> tuple[Any, Arrays]:
    """Take a state apart.

    Args:
        state: Nested :obj:`dict`, :obj:`list` or :obj:`tuple` (exactly these types, and
            subclasses of :obj:`dict`, which come back as :obj:`dict`) with :obj:`str` or
            :obj:`int` keys. Leaves are torch tensors (dense, any dtype and device), NumPy arrays
            and scalars (no objects, no records), :obj:`int`, :obj:`float`, :obj:`str`,
            :obj:`bytes`, :obj:`bool` and :obj:`None`.

    Returns:
        A tree of JSON types and the arrays it refers to by name. They may share memory with the
        state. Equal states give equal results.

    Raises:
        TypeError: If the state holds anything else. The message has its path.
    """
    arrays: Arrays = {}
    return _encode(state, (), arrays), arrays


def decode(tree: Any, arrays: Arrays) -> State:
    """Put together what :func:`encode` took apart; tensors come back on the CPU."""
    if isinstance(tree, list):
        return [decode(node, arrays) for node in tree]
    if not isinstance(tree, dict):
        return tree
    if "dict" in tree:
        return {decode(key, arrays): decode(node, arrays) for key, node in tree["dict"]}
    if "tuple" in tree:
        return tuple(decode(node, arrays) for node in tree["tuple"])
    if "float" in tree:
        return float(tree["float"])
    if "int" in tree:
        return int(tree["int"], 16)
    if "bytes" in tree:
        return arrays[tree["bytes"]].tobytes()
    if "tensor" in tree:
        return _decode_tensor(tree, arrays[tree["tensor"]])
    if "array" in tree:
        return _decode_array(tree, arrays[tree["array"]])
    return _decode_array(tree, arrays[tree["scalar"]])[()]


def _encode(node: Any, path: tuple[Any, ...], arrays: Arrays) -> Any:
    if len(path) > _MAX_DEPTH:
        raise TypeError(
            f"`{_format(path[:3])}…` is nested more than {_MAX_DEPTH} levels deep, or contains "
            "itself: a checkpoint cannot hold it."
        )
    if node is None or type(node) in (bool, str):
        return node
    if type(node) is int:
        # Python reads back no decimal number of more than 4,300 digits.
        return node if -(2**63) <= node < 2**63 else {"int": hex(node)}
    if type(node) is float:
        return node if math.isfinite(node) else {"float": repr(node)}
    if type(node) is list:
        return [_encode(child, (*path, i), arrays) for i, child in enumerate(node)]
    if type(node) is tuple:
        return {"tuple": [_encode(child, (*path, i), arrays) for i, child in enumerate(node)]}
    if isinstance(node, dict):
        for key in node:
            if type(key) not in (str, int):
                raise TypeError(
                    f"`{_format(path)}` has the key {key!r} of type {type(key).__name__}: a "
                    "checkpoint takes str and int keys only."
                )
        return {
            "dict": [
                [_encode(key, path, arrays), _encode(child, (*path, key), arrays)]
                for key, child in node.items()
            ]
        }
    if type(node) is bytes:
        return {"bytes": _add(np.frombuffer(node, np.uint8), path, arrays)}
    if isinstance(node, np.generic) and node.dtype.kind in "biufcmM":
        return {"scalar": _add(_flat(np.asarray(node)), path, arrays), **_array_type(node)}
    if type(node) is np.ndarray and node.dtype.kind in "biufcmMSU":
        return {"array": _add(_flat(node), path, arrays), **_array_type(node)}
    tensor = _tensor_to_numpy(node)
    if tensor is not None:
        dtype = str(node.dtype).removeprefix("torch.")
        name = _add(tensor, path, arrays)
        return {"tensor": name, "dtype": dtype, "shape": list(node.shape)}
    raise TypeError(
        f"`{_format(path)}` is {_describe(node)}, which a checkpoint cannot hold. Save tensors, "
        "NumPy arrays, numbers, strings, bytes, bools and None in dicts, lists and tuples; of "
        "other objects save what rebuilds them, such as their `state_dict()`."
    )


def _add(array: NDArray[Any], path: tuple[Any, ...], arrays: Arrays) -> str:
    name = "/".join(str(key) for key in path) or "state"
    name = name.encode("utf-8", "backslashreplace").decode()
    # Keys 1 and "1" meet here, and "a/b" and a, b; safetensors keeps one name for itself.
    while name in arrays or name == "__metadata__":
        name += "'"
    arrays[name] = array
    return name


def _array_type(array: NDArray[Any] | np.generic) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array, order="C")
    if array.dtype.name in _NATIVE and array.dtype.isnative:
        return array
    return np.frombuffer(array.tobytes(), dtype=np.uint8)


def _decode_array(node: dict[str, Any], stored: NDArray[Any]) -> NDArray[Any]:
    dtype = np.dtype(node["dtype"])
    if stored.dtype == dtype:
        return stored
    array: NDArray[Any] = np.frombuffer(bytearray(stored.tobytes()), dtype=dtype)
    array.shape = tuple(node["shape"])
    return array


def _tensor_to_numpy(node: Any) -> NDArray[Any] | None:
    torch = sys.modules.get("torch")  # who holds a tensor has imported it
    if torch is None or type(node) not in (torch.Tensor, torch.nn.Parameter):
        return None
    if node.layout != torch.strided or node.is_quantized or node.is_meta:
        return None
    if node.numel() == 0:
        return np.empty(0, dtype=np.uint8)  # torch views no empty tensor of stride 0 as bytes
    dense = node.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if str(node.dtype).removeprefix("torch.") in _NATIVE:
        return np.asarray(dense.numpy())
    return np.asarray(dense.reshape(-1).view(torch.uint8).numpy())


def _decode_tensor(node: dict[str, Any], stored: NDArray[Any]) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "This checkpoint holds torch tensors, but torch is not installed: "
            "`pip install torch`, or `pip install 'optuna-gamma[train]'`.",
            name="torch",
        ) from error
    dtype = getattr(torch, node["dtype"])
    if stored.size == 0:
        return torch.empty(node["shape"], dtype=dtype)
    tensor = torch.from_numpy(stored)
    return (tensor if tensor.dtype == dtype else tensor.view(dtype)).reshape(node["shape"])


def _describe(node: Any) -> str:
    if isinstance(node, np.ndarray):
        return f"a {type(node).__name__} of dtype {node.dtype}"
    layout = getattr(node, "layout", None)
    if layout is not None:
        return f"a {type(node).__name__} with layout {layout} on device {node.device}"
    return f"a {type(node).__module__}.{type(node).__qualname__}"


def _format(path: tuple[Any, ...]) -> str:
    return "state" + "".join(f"[{key!r}]" for key in path)
