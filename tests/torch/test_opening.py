"""A fused function of PyTorch opens: its definition has its result, and sends what it sends."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

import autolm  # noqa: E402
import autolm.torch  # noqa: E402


def leaf(*shape):
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def causal(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def masked(q, k, v):
    mask = torch.tensor([[True, False, True]]).expand(3, 3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)


def added(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.randn(3, 3).double())


def learned(q, k, v, bias):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def blind(q, k, v):
    mask = torch.tensor([[True, False, True], [False] * 3, [True] * 3])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def grouped(q, k, v):
    return F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)


def dropped(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)


def loss(**attributes):
    return lambda x: F.cross_entropy(x, torch.tensor([1, 0, 3]), **attributes)


ARGUMENTS = ("query", "key", "value", "attn_mask", "input", "mat1", "mat2", "weight", "bias")
HEADS = [(2, 4, 3, 5)] * 3
FUSED = [
    *((example, HEADS) for example in (causal, masked, added, blind, grouped, dropped)),
    (causal, [(2, 4, 2, 5), (2, 4, 3, 5), (2, 4, 3, 5)]),
    (learned, [*HEADS, (4, 3, 3)]),
    (lambda x, w, b: F.layer_norm(x, (4,), w, b, 1e-3), [(3, 4), (4,), (4,)]),
    (lambda x: F.layer_norm(x, (3, 4)), [(2, 3, 4)]),
    (lambda x, w: F.rms_norm(x, (4,), w), [(3, 4), (4,)]),
    (lambda x: torch.softmax(x, 0), [(3, 4)]),
    (lambda x: F.softmax(x, dim=-1), [(3, 4)]),
    (lambda x: x.log_softmax(1), [(3, 4)]),
    *((loss(reduction=reduction), [(3, 4)]) for reduction in ("mean", "sum", "none")),
    (loss(ignore_index=0, label_smoothing=0.2), [(3, 4)]),
    (loss(weight=torch.tensor([0.5, 1.0, 2.0, 3.0]).double()), [(3, 4)]),
    (lambda x: F.cross_entropy(x, torch.full((3, 4), 0.25).double()), [(3, 4)]),
    (lambda x: F.gelu(x), [(3, 4)]),
    (lambda x: F.gelu(x, approximate="tanh"), [(3, 4)]),
    (lambda x: F.silu(x), [(3, 4)]),
    (lambda x, w: F.linear(x, w), [(2, 3, 4), (5, 4)]),
    (lambda x, w, b: F.linear(x, w, b), [(3, 4), (5, 4), (5,)]),
    (lambda b, x, w: torch.addmm(b, x, w, beta=0.5, alpha=2), [(5,), (3, 4), (4, 5)]),
]


@pytest.mark.parametrize(("fused", "shapes"), FUSED)
def test_definition_has_the_result_and_sends_what_the_function_sends(fused, shapes):
    torch.manual_seed(0)
    operands = [leaf(*shape) for shape in shapes]
    with autolm.torch.record():
        result = fused(*operands)
    node = autolm.torch.node(result)
    upstream = torch.randn_like(result)
    opened = autolm.open(node, upstream)
    assert len({n.op.name for n in autolm.topological_order(opened) if n.parents}) > 1
    assert torch.allclose(opened.data, result.detach(), rtol=1e-12, atol=1e-13)
    leaves = {n.name: n for n in autolm.topological_order(opened) if n.requires_grad}
    contributions = node.contributions(upstream)
    arguments = [name for name in ARGUMENTS if name in leaves]
    for name, value in zip(arguments, (v for v in contributions if v is not None), strict=True):
        assert torch.allclose(value, leaves[name].gradient, rtol=1e-10, atol=1e-12), name
    assert all(operand.grad is None for operand in operands)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_definition_runs_in_the_dtype_of_the_function(dtype):
    x = torch.randn(3, 4).to(dtype).requires_grad_()
    with autolm.torch.record():
        results = F.softmax(x, -1), F.layer_norm(x, (4,)), causal(x, x, x)
    for result in results:
        assert autolm.open(autolm.torch.node(result)).data.dtype is dtype


def test_attention_shows_its_weights():
    torch.manual_seed(0)
    with autolm.torch.record():
        y = causal(*(leaf(2, 4, 3, 5) for _ in range(3)))
    nodes = {n.name: n for n in autolm.topological_order(autolm.open(y)) if n.name}
    assert torch.allclose(nodes["weights"].data.sum(-1), torch.ones(2, 4, 3).double())
    assert nodes["weights"].data.triu(1).count_nonzero() == 0
    assert nodes["weights"].location.user.path == __file__
    softmax = autolm.open(nodes["weights"])  # which opens in its turn
    assert torch.allclose(softmax.data, nodes["weights"].data)


def test_what_does_not_open_says_why():
    q = leaf(1, 1, 3, 4)
    with autolm.torch.record():
        y = dropped(q, q, q)
        cosine = q.cos()
        of_axes = F.cross_entropy(q, torch.zeros(1, 3, 4, dtype=torch.long))
    autolm.torch.node(y).call._state = {"cpu": torch.get_rng_state()}  # as if drawn otherwise
    with pytest.raises(ValueError, match="its kernel has drawn"):
        autolm.open(y)
    with pytest.raises(ValueError, match="open: cos is not known here"):
        autolm.open(cosine)
    with pytest.raises(ValueError, match=r"open: cross_entropy: it opens for \(rows, classes\)"):
        autolm.open(of_axes)
    with pytest.raises(ValueError, match="is a leaf"):
        autolm.open(q)
