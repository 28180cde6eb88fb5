"""TinyLM is the published lesson's model, and one model on two engines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autolm.engine.graph import topological_order
from autolm.lm.tinylm import TinyLM

Array = NDArray[Any]
TOKENS, TARGETS = [3, 1, 4, 1, 5], [1, 4, 1, 5, 0]


def lesson_loss(state: dict[str, Array], d_model: int, num_layers: int) -> tuple[float, Array]:
    """Run the published lesson's simplified forward pass in plain NumPy: loss and logits."""
    T = len(TOKENS)
    PE = np.zeros((T, d_model))
    for t in range(T):
        for i in range(0, d_model, 2):
            PE[t, i] = np.sin(t / 10000 ** (i / d_model))
            PE[t, i + 1] = np.cos(t / 10000 ** (i / d_model))
    x = state["embedding"][TOKENS] + PE
    for layer in range(num_layers):
        W = {name.split(".")[-1]: a for name, a in state.items() if f"blocks.{layer}." in name}
        Q, K, V = x @ W["W_Q"], x @ W["W_K"], x @ W["W_V"]
        scores = Q @ K.T / np.sqrt(d_model)
        weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        x = x + weights @ V @ W["W_O"]
        x = x + np.maximum(0, x @ W["W_1"]) @ W["W_2"]
    logits = x @ state["W_out"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-np.log(p[range(T), TARGETS]).mean()), logits


def test_one_head_without_norm_and_mask_is_the_published_lesson() -> None:
    model = TinyLM(6, 8, 1, 16, 3, norm=None, causal=False, dtype="float64", seed=1)
    loss, logits = lesson_loss(model.state(), d_model=8, num_layers=3)
    np.testing.assert_allclose(model.forward(TOKENS)[0].data, logits, rtol=0, atol=1e-12)
    assert float(model.compute_loss(TOKENS, TARGETS)) == pytest.approx(loss, rel=0, abs=1e-12)


KINDS = [
    {"norm": norm, "causal": causal} for norm in ("pre", "post", None) for causal in (True, False)
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tensors_and_values_agree_on_the_loss_and_on_every_gradient(kind: dict[str, Any]) -> None:
    model = TinyLM(6, 4, 2, 8, 2, dtype="float64", seed=2, **kind)
    tokens, targets = np.array([TOKENS[:3], TOKENS[2:]]), np.array([TARGETS[:3], [1, -1, 0]])
    loss = model.compute_loss(tokens, targets)
    scalar = loss.to_values().item()
    loss.backward()
    scalar.backward()
    assert scalar.data == pytest.approx(float(loss), rel=1e-12, abs=0)
    slopes = {v.name: v.grad for v in topological_order(scalar) if v.requires_grad and v.name}
    for path, parameter in model.named_parameters():
        assert np.abs(parameter.grad).max() > 1e-6, f"{path}: nothing to compare"
        for index, slope in np.ndenumerate(parameter.grad):
            element = f"{path}[{','.join(map(str, index))}]"
            # A token that does not occur has no Value in the graph: it has no part in the loss.
            assert slope == pytest.approx(slopes.get(element, 0.0), rel=0, abs=1e-12), element
    scopes = {v.name: v.scope for v in topological_order(scalar)}
    assert scopes["blocks.0.attention.W_Q[3,2]"] == "blocks.0.attention"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_row_of_a_batch_is_computed_as_alone_and_sees_what_it_may(kind: dict[str, Any]) -> None:
    model = TinyLM(6, 8, 2, 16, 2, dtype="float64", seed=3, **kind)
    changed_contexts = [[*TOKENS[:t], (TOKENS[t] + 1) % 6, *TOKENS[t + 1 :]] for t in range(5)]
    logits = model.forward([TOKENS, *changed_contexts])[0].data
    for row, expected in zip([TOKENS, *changed_contexts], logits, strict=True):
        np.testing.assert_allclose(model.forward(row)[0].data, expected, rtol=1e-12, atol=1e-13)
    changed = (logits[1:] != logits[0]).any(axis=-1)  # (changed token, position)
    np.testing.assert_array_equal(changed, np.triu(np.ones((5, 5))) if kind["causal"] else 1)


def test_a_step_of_training_is_gradient_descent_and_returns_both_losses_as_floats() -> None:
    model, other = (TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=7) for _ in range(2))
    other.compute_loss(TOKENS, TARGETS).backward()
    model.train_step(TOKENS, TARGETS, 0.0)  # its gradient is not added to the next one
    before, after = model.train_step(TOKENS, TARGETS, 0.05)
    for path, parameter in other.named_parameters():
        expected = parameter.data - 0.05 * parameter.grad
        np.testing.assert_allclose(model.state()[path], expected, rtol=1e-14, err_msg=path)
    assert type(before) is type(after) is float
    assert (before, after) == tuple(float(m.compute_loss(TOKENS, TARGETS)) for m in (other, model))


def test_the_loss_is_of_the_logits_without_targets_of_minus_one() -> None:
    model = TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=9)
    out, activations = model.forward(TOKENS, store_activations=True)
    surprise = np.log(np.exp(out.data).sum(axis=-1)) - out.data[range(5), TARGETS]
    loss = float(model.compute_loss(TOKENS, [-1, *TARGETS[1:3], -1, -1]))
    assert loss == pytest.approx(surprise[1:3].mean(), rel=1e-12)
    assert {name: x.shape for name, x in activations.items()} == {
        "input": (5, 8),
        "layer_0": (5, 8),
    }
    last = model.norm(activations["layer_0"]) @ model.W_out
    np.testing.assert_array_equal(last.data, out.data)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_decides_the_weights_and_the_text_in_either_dtype(dtype: str) -> None:
    one, two, three = (TinyLM(6, 8, 2, 16, 2, dtype=dtype, seed=seed) for seed in (1, 1, 2))
    assert one.embedding.data.tobytes() == two.embedding.data.tobytes()
    assert one.embedding.data.tobytes() != three.embedding.data.tobytes()
    first, again, other = (
        one.generate([3], 20, rng=np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
    loss = one.compute_loss(TOKENS, TARGETS)
    loss.backward()
    assert {a.dtype for p in one.parameters() for a in (p.data, p.grad)} == {np.dtype(dtype)}


def test_generation_at_temperature_zero_takes_the_likeliest_token_each_time() -> None:
    model = TinyLM(6, 8, 2, 16, 2, seed=10, max_len=5)
    written = [3, 1]
    for _ in range(8):  # longer than max_len: only the last five tokens are seen
        written.append(int(model.forward(written[-5:])[0].data[-1].argmax()))
    assert model.generate([3, 1], 8, temperature=0).tolist() == written


WRONG: list[tuple[Callable[[TinyLM], object], str]] = [
    (lambda m: m.forward([]), r"token_ids must be \(time,\) or \(batch, time\), got \(0,\)"),
    (lambda m: m.forward([[[1]]]), r"token_ids must be .* got \(1, 1, 1\)"),
    (lambda m: m.forward([1.0, 2.0]), "token_ids must be integers, not float64"),
    (lambda m: m.forward([1, 6]), "token id 6 is outside the vocabulary of 6"),
    (lambda m: m.forward([1, -1]), "token id -1 is outside the vocabulary of 6"),
    (lambda m: m.forward(range(6)), "6 token_ids are more than max_len 5"),
    (lambda m: m.compute_loss(TOKENS, [1, 2]), r"targets must be \(5,\), not \(2,\)"),
    (lambda m: m.compute_loss(TOKENS, [1, 2, 3, 4, 6]), "token id 6 is outside the vocabulary"),
    (lambda m: m.compute_loss(TOKENS, [-1] * 5), "there is no target to predict"),
    (lambda m: TinyLM(6, 8, 3, 16, 1), "d_model 8 is not divisible by num_heads 3"),
    (lambda m: TinyLM(6, 8, 2, 16, -1), "num_layers must be at least 0, not -1"),
    (lambda m: TinyLM(6, 8, 0, 16, 1), "num_heads must be at least 1, not 0"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_tokens_targets_and_sizes_are_refused(
    call: Callable[[TinyLM], object], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call(TinyLM(6, 8, 2, 16, 1, max_len=5, seed=1))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("sizes", [(2, 1, 1, 1, 0), (7, 64, 4, 64, 1), (60, 16, 2, 5, 4)])
def test_a_new_model_loses_as_much_as_a_uniform_guess(
    sizes: tuple[int, ...], kind: dict[str, Any]
) -> None:
    model, rng = TinyLM(*sizes, seed=0, **kind), np.random.default_rng(0)
    tokens, targets = rng.integers(sizes[0], size=(2, 20))
    loss = float(model.compute_loss(tokens, targets))
    assert loss == pytest.approx(np.log(sizes[0]), rel=0.05)


def lesson_gradients(model: TinyLM, learning_rate: float, eps: float = 1e-5) -> Array:
    """Take the published lesson's step of training: what it uses as gradient, a row a token."""
    E, used = model.state()["embedding"].copy(), []
    rest = {path: array for path, array in model.state().items() if path != "embedding"}

    def loss() -> float:
        return lesson_loss({**rest, "embedding": E}, E.shape[1], num_layers=1)[0]

    before = loss()
    for token in TOKENS:
        gradient = np.zeros(E.shape[1])
        for i in range(E.shape[1]):
            E[token, i] += eps
            gradient[i] = (loss() - before) / eps
            E[token, i] -= eps
        E[token] -= learning_rate * gradient
        used.append(gradient)
    return np.array(used)


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("seed", range(5))
def test_the_lessons_step_adds_one_number_to_the_whole_gradient_of_its_second_token(
    seed: int,
) -> None:
    model = TinyLM(6, 32, 1, 64, 1, norm=None, causal=False, dtype="float64", seed=seed)
    model.W_out.data = model.W_out.data * 100  # as large as if it were trained
    model.compute_loss(TOKENS, TARGETS).backward()
    rate, eps = 0.001, 1e-5
    first, second = lesson_gradients(model, rate, eps)[:2]
    exact_first, exact_second = (model.embedding.grad[token] for token in TOKENS[:2])
    assert cosine(first, exact_first) > 0.999
    assert abs(cosine(second, exact_second)) < 0.5
    assert np.linalg.norm(second) > 5 * np.linalg.norm(exact_second)
    added = -rate / eps * float(first @ first)
    np.testing.assert_allclose(second - exact_second, added, rtol=0.05)


def test_a_model_prints_its_sizes() -> None:
    assert repr(TinyLM(31, 64, 4, 256, 2, norm="post")) == (
        "TinyLM(31 tokens, 2 layers, 4 heads, norm post, d_ff 256, d_model 64, "
        "102784 parameters, float32)"
    )
    assert repr(TinyLM(5, 8, 2, 16, 0, norm=None)) == (
        "TinyLM(5 tokens, 0 layers, d_model 8, 80 parameters, float32)"
    )


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_the_graph_is_called_as_in_a_textbook_and_no_two_nodes_the_same(norm: Any) -> None:
    model = TinyLM(6, 8, 2, 16, 1, norm=norm, seed=1)
    nodes = topological_order(model.compute_loss(TOKENS, TARGETS))
    names = [".".join(filter(None, (node.scope, node.name))) for node in nodes if node.parents]
    norm_1, norm_2 = ["blocks.0.norm_1.normalized"], ["blocks.0.norm_2.normalized"]
    assert names == [
        *("embeddings", "input", *(norm_1 if norm == "pre" else [])),
        *(f"blocks.0.attention.{name}" for name in ("q", "k", "v", "attention", "output")),
        "blocks.0.after_attention",
        *(norm_1 if norm == "post" else []),
        *(norm_2 if norm == "pre" else []),
        *(f"blocks.0.feed_forward.{name}" for name in ("before_relu", "hidden", "output")),
        "blocks.0.after_feed_forward",
        *(norm_2 if norm == "post" else []),
        *(["norm.normalized"] if norm == "pre" else []),
        *("logits", "loss"),
    ]
    assert {node.name for node in nodes if not node.requires_grad} == {"positions"}
    assert len({(node.scope, node.name) for node in nodes}) == len(nodes)


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_the_shapes_of_parameters_are_known_without_a_model(norm: Any) -> None:
    sizes = (7, 8, 2, 12, 3)
    model = TinyLM(*sizes, norm=norm)
    shapes = [(path, array.shape) for path, array in model.state().items()]
    assert list(model.design.parameter_shapes()) == shapes
