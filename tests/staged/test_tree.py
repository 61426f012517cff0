"""What goes into a state comes out of it; what does not fit is refused with its path."""

from __future__ import annotations

from collections import OrderedDict
import json
import math
import sys
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from optuna_gamma.staged.tree import decode
from optuna_gamma.staged.tree import encode


dtypes = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes(endianness="?")
    | hnp.datetime64_dtypes()
    | hnp.timedelta64_dtypes()
    | hnp.byte_string_dtypes(min_len=1)
    | hnp.unicode_string_dtypes(min_len=1)
)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    )
)
scalars = st.builds(
    lambda array: array.reshape(-1)[0],
    hnp.arrays(st.sampled_from(["?", "<i2", "<u8", "<f2", "<f4", "<f8", "<c16", "<M8[s]"]), (1,)),
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4400, max_value=10**4401)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))  # lone surrogates too
    | st.binary()
    | arrays
    | scalars
)
keys = st.text(st.characters(exclude_categories=()), max_size=4) | st.integers()
states = st.recursive(
    leaves,
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(keys, children, max_size=3)
    ),
    max_leaves=12,
)


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        assert [type(key) for key in a] == [type(key) for key in b]
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, float):
        assert (math.isnan(a) and math.isnan(b)) or a.hex() == b.hex()
    else:
        assert a == b


@settings(deadline=None, max_examples=300)
@given(states)
def test_a_state_survives_json_and_flat_arrays(state: Any) -> None:
    tree, arrays = encode(state)
    tree = json.loads(json.dumps(tree, allow_nan=False))
    assert_same(decode(tree, arrays), state)


def test_keys_that_look_alike_and_names_that_safetensors_keeps_for_itself() -> None:
    a, b = np.zeros(1), np.ones(1)
    for state in ({1: a, "1": b}, {"a": {"b": a}, "a/b": b}, {"__metadata__": a}, {"state": a}):
        tree, arrays = encode(state)
        assert "__metadata__" not in arrays
        assert_same(decode(tree, arrays), state)


def test_non_contiguous_and_fortran_arrays() -> None:
    base = np.arange(24).reshape(4, 6)
    for array in (base[::2, 1::2], base.T, np.broadcast_to(np.float32(3), (2, 2))):
        tree, arrays = encode(array)
        assert_same(decode(tree, arrays), np.array(array))


def test_dict_subclasses_come_back_as_dicts() -> None:
    tree, arrays = encode(OrderedDict(b=1, a=2))
    assert_same(decode(tree, arrays), {"b": 1, "a": 2})


class Thing:
    def __repr__(self) -> str:
        return "Thing()"


cycle: list[Any] = []
cycle.append(cycle)


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (Thing(), "state['optimizer'][1]"),
        ({1, 2}, "state['optimizer'][1]"),
        (print, "state['optimizer'][1]"),
        (1j, "state['optimizer'][1]"),
        (bytearray(b"x"), "state['optimizer'][1]"),
        (np.array([None]), "state['optimizer'][1]"),
        (np.zeros(2, [("a", "f4")]), "state['optimizer'][1]"),
        (np.ma.masked_array([1, 2], [True, False]), "state['optimizer'][1]"),
        ({"lr": Thing()}, "state['optimizer'][1]['lr']"),
        ({(1, 2): 0}, "(1, 2)"),
        ({None: 0}, "None"),
        ({True: 0}, "True"),
        (cycle, "state['optimizer'][1][0]"[:15]),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused_with_its_path(bad: Any, path: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode({"model": np.zeros(2), "optimizer": [0, bad]})
    assert path in str(caught.value)


torch = pytest.importorskip("torch")

TORCH_DTYPES = ["bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "bfloat16"]
TORCH_DTYPES += [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TORCH_DTYPES += ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_torch_tensors_of_every_dtype_come_back_as_they_were(dtype: str, shape: Any) -> None:
    tensor = (torch.rand(shape) * 3).to(getattr(torch, dtype))
    tree, arrays = encode({"w": tensor})
    found = decode(json.loads(json.dumps(tree)), arrays)["w"]
    assert type(found) is torch.Tensor
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    as_bytes = [t.reshape(-1).view(torch.uint8).tolist() for t in (found, tensor)]
    assert as_bytes[0] == as_bytes[1]


def test_views_parameters_shared_storage_and_conjugates() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "transposed": base.T,
        "strided": base[:, ::2],
        "expanded": torch.ones(1).expand(5),
        "parameter": torch.nn.Parameter(base),
        "requires_grad": torch.ones(2, requires_grad=True) * 2,
        "conjugate": torch.tensor([1 + 2j]).conj(),
    }
    found = decode(*encode(state))
    for key, tensor in state.items():
        assert torch.equal(found[key], tensor.detach())
        assert not found[key].requires_grad


def test_numpy_stays_numpy_beside_torch() -> None:
    found = decode(*encode([np.ones(2), torch.ones(2)]))
    assert [type(x) for x in found] == [np.ndarray, torch.Tensor]


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_the_state_of_a_model_and_its_optimizer(name: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    found = decode(*encode(state))
    optimizer.load_state_dict(found["optimizer"])
    model.load_state_dict(found["model"])
    assert found["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]


@pytest.mark.parametrize(
    "bad",
    [
        torch.ones(2).to_sparse(),
        torch.empty(2, device="meta"),
        torch.float32,
        torch.nn.Linear(1, 1),
    ],
    ids=["sparse", "meta", "dtype", "module"],
)
def test_torch_objects_without_dense_data_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"state\['w'\]"):
        encode({"w": bad})


def test_torch_states_need_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, arrays = encode(torch.ones(1))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        decode(tree, arrays)
