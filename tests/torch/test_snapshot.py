"""In-place writes: what was overwritten is still shown, and n writes cost what n writes write."""

import gc
import sys

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402

import autolm.torch  # noqa: E402
from autolm.torch import snapshot  # noqa: E402


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setenv("AUTOLM_STRICT", "1")


def columns(n):
    x = torch.randn(8, n, requires_grad=True) * 1
    for i in range(n):
        x[:, i] *= 0.9
    return x.sum()


def decoder(n):
    w = torch.randn(6, requires_grad=True)
    outputs = torch.zeros(n, 6)
    for i in range(n):
        outputs[i] = w * i
    return outputs.sum()


def rows_chosen_by_a_list(n):
    x = torch.randn(n, 5, requires_grad=True) * 1
    for i in range(n):
        x[[i]] = x[[i]] * 2
    return x.sum()


def calls_of(function, *args):
    """Count the calls of functions, of Python and of C, that something makes."""
    count = 0

    def counted(_, event, __):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        result = function(*args)
    finally:
        sys.setprofile(None)
    return count, result


def kept_bytes(root):
    """Add up what is kept of the writes that snapshots of a graph still need."""
    writes = {}
    for node in autolm.topological_order(root):
        write = getattr(node.snapshot, "_next_write", None)
        while write is not None and write.next is not None:
            writes[id(write)] = write
            write = write.next
    return sum(write.old.nbytes for write in writes.values())


@pytest.mark.parametrize("make", [columns, decoder, rows_chosen_by_a_list])
def test_time_and_memory_of_writes_grow_with_what_is_written(make):
    gc.collect()
    calls, byte_counts = {}, {}
    for n in (20, 40, 80):
        with autolm.torch.record():
            make(5)
            calls[n], loss = calls_of(make, n)
            byte_counts[n] = kept_bytes(autolm.torch.graph(loss))
    assert calls[80] - calls[40] <= 2.1 * (calls[40] - calls[20])
    # `x[:, i] *= 0.9` writes twice: `mul_`, and then `x[:, i] = …` of the result.
    part = {columns: 2 * 8 * 4, decoder: 6 * 4, rows_chosen_by_a_list: 5 * 4}[make]
    assert byte_counts == {n: n * part for n in byte_counts}


WRITES = {
    "a number": lambda x: x.mul_(2),
    "operator": lambda x: x.__iadd__(1),
    "item": lambda x: x.__setitem__(1, 5.0),
    "slice": lambda x: x.__setitem__((slice(0, 2), slice(1, None)), 7.0),
    "ellipsis": lambda x: x.__setitem__((..., 0), 7.0),
    "list": lambda x: x.__setitem__([2, 0], 7.0),
    "mask": lambda x: x.__setitem__(x > 0, 7.0),
    "indices": lambda x: x.__setitem__((torch.tensor([0, 1]), torch.tensor([1, 1])), 7.0),
    "through a view": lambda x: x[1].select(0, 0).mul_(9),
    "through a transposed view": lambda x: x.T[0].add_(1),
    "index_add_": lambda x: x.index_add_(0, torch.tensor([0, 0]), torch.ones(2, 3)),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, 4.0),
    "relu_": lambda x: F.relu(x, inplace=True),
    "relu by place": lambda x: F.relu(x, True),
    "copy_": lambda x: x.copy_(torch.ones(3, 3)),
    "foreach": lambda x: torch._foreach_mul_([x], 2.0),
    "data": lambda x: x.data.mul_(2),
    "detached": lambda x: x.detach().mul_(2),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_node_shows_the_numbers_from_before_a_write(write):
    torch.manual_seed(0)
    with autolm.torch.record():
        x = torch.randn(3, 3, requires_grad=True) * 1
        row, before = autolm.torch.node(x[0]), autolm.torch.node(x)
        expected = x.detach().clone()
        WRITES[write](x)
        middle = x.detach().clone()
        assert write in ("relu_", "relu by place") or not torch.equal(middle, expected)
        x_now = autolm.torch.node(x)
        x.add_(1)
    assert torch.equal(before.data, expected)
    assert torch.equal(row.data, expected[0])
    if write not in ("data", "detached"):
        assert x_now is not before
        assert torch.equal(x_now.data, middle)


def test_numbers_of_complex_and_of_constant_tensors_outlast_writes():
    with autolm.torch.record():
        z = torch.randn(3, dtype=torch.complex64, requires_grad=True) * 1
        conjugate = z.conj()
        nodes = [autolm.torch.node(tensor) for tensor in (z, conjugate)]
        expected = [z.detach().clone(), conjugate.detach().resolve_conj().clone()]
        torch.view_as_real(z)[0, 1] *= 3
        z.mul_(2)
        mask = torch.zeros(2, dtype=torch.bool)
        nodes.append(autolm.torch.node(mask))
        expected.append(mask.clone())
        mask |= torch.tensor([True, False])
    for node, numbers in zip(nodes, expected, strict=True):
        assert torch.equal(node.data.resolve_conj(), numbers)


def test_numbers_that_were_overwritten_unseen_are_not_shown_at_all():
    with autolm.torch.record():
        w = torch.randn(3, requires_grad=True)
        loss = (w * w).sum()
        with torch.no_grad():
            w.add_(1.0)
        node = next(n for n in autolm.topological_order(autolm.torch.graph(loss)) if not n.parents)
        assert node.data.is_meta and node.data.shape == (3,)
        assert torch.equal(autolm.torch.node(w).data, w)


def test_writes_into_what_no_graph_needs_keep_nothing():
    gc.collect()
    before = len(snapshot._next_writes)
    with autolm.torch.record():
        buffer = torch.zeros(4)
        for i in range(100):
            buffer[i % 4] = i
            buffer.add_(1)
        gc.collect()
        assert len(snapshot._next_writes) <= before + 1
        write = next(iter(snapshot._next_writes.values()), None)
        assert write is None or write.next is None


def test_an_error_of_the_program_in_a_write_leaves_the_numbers():
    with autolm.torch.record():
        x = torch.ones(3, requires_grad=True) * 1
        node = autolm.torch.node(x)
        with pytest.raises(RuntimeError):
            x.add_(torch.ones(5))
        x.mul_(2)
    assert node.data.tolist() == [1, 1, 1]
