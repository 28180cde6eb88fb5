"""TinyLM is the published lesson's model, and one model on two engines."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autolm.engine.graph import topological_order
from autolm.lm.tinylm import TinyLM
from autolm.walking.opening import open as open_node

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


def test_expanded_elements_keep_the_scope_and_name_of_their_tensor() -> None:
    model = TinyLM(6, 4, 2, 8, 1, dtype="float64", seed=2)
    nodes = topological_order(model.compute_loss(TOKENS, TARGETS).to_values().item())
    scopes = {node.name: node.scope for node in nodes}
    assert scopes["blocks.0.attention.W_Q[3,2]"] == "blocks.0.attention"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_row_of_a_batch_is_computed_as_alone(kind: dict[str, Any]) -> None:
    model = TinyLM(6, 8, 2, 16, 2, dtype="float64", seed=3, **kind)
    batch = np.random.default_rng(0).integers(0, 6, size=(4, 7))
    together = model.forward(batch)[0].data
    for row, logits in zip(batch, together, strict=True):
        np.testing.assert_allclose(model.forward(row)[0].data, logits, rtol=1e-12, atol=1e-13)


def changed_places(model: TinyLM, place: int) -> list[bool]:
    """Say of which positions the logits change when the token at one place does."""
    other = [*TOKENS[:place], (TOKENS[place] + 1) % 6, *TOKENS[place + 1 :]]
    one, two = (model.forward(tokens)[0].data for tokens in (TOKENS, other))
    return [not np.array_equal(a, b) for a, b in zip(one, two, strict=True)]


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_a_causal_model_sees_no_later_token_and_another_sees_all(norm: Any) -> None:
    shape: dict[str, Any] = {"norm": norm, "dtype": "float64", "seed": 4}
    causal = TinyLM(6, 8, 2, 16, 2, causal=True, **shape)
    seeing = TinyLM(6, 8, 2, 16, 2, causal=False, **shape)
    for place in range(5):
        assert changed_places(causal, place) == [t >= place for t in range(5)]
        assert changed_places(seeing, place) == [True] * 5


def test_activations_are_the_residual_stream_after_each_layer_if_asked_for() -> None:
    model = TinyLM(6, 8, 2, 16, 2, dtype="float64", seed=5)
    logits, activations = model.forward(TOKENS, store_activations=True)
    assert list(activations) == ["input", "layer_0", "layer_1"]
    assert {a.shape for a in activations.values()} == {(5, 8)}
    expected = model.embedding.data[TOKENS] + model.positions[:5]
    np.testing.assert_array_equal(activations["input"].data, expected)
    last = model.norm(activations["layer_1"]) @ model.W_out
    np.testing.assert_array_equal(last.data, logits.data)
    assert model.forward(TOKENS)[1] == {}


def test_a_step_of_training_lowers_the_loss_and_tells_both_as_floats() -> None:
    model = TinyLM(6, 8, 2, 16, 2, seed=6)
    before, after = model.train_step(TOKENS, TARGETS, 0.05)
    assert type(before) is type(after) is float
    assert after < before
    assert after == float(model.compute_loss(TOKENS, TARGETS))


def test_a_step_of_training_is_plain_gradient_descent() -> None:
    model, twin = (TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=7) for _ in range(2))
    twin.compute_loss(TOKENS, TARGETS).backward()
    model.train_step(TOKENS, TARGETS, 0.05)
    for path, parameter in twin.named_parameters():
        expected = parameter.data - 0.05 * parameter.grad
        np.testing.assert_allclose(model.state()[path], expected, rtol=1e-14, err_msg=path)


def test_steps_of_training_do_not_add_up_their_gradients() -> None:
    model = TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=7)
    model.train_step(TOKENS, TARGETS, 0.0)
    once = model.W_out.grad.copy()
    model.train_step(TOKENS, TARGETS, 0.0)
    np.testing.assert_array_equal(model.W_out.grad, once)


def test_a_loss_prints_and_computes_as_a_number() -> None:
    loss = TinyLM(6, 8, 2, 16, 1, seed=8).compute_loss(TOKENS, TARGETS)
    assert f"{loss:.4f}" == f"{float(loss):.4f}"
    assert float(np.exp(loss)) == pytest.approx(np.exp(float(loss)), rel=1e-6)


def test_targets_of_minus_one_do_not_count() -> None:
    model = TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=9)
    logits = model.forward(TOKENS)[0].data
    surprise = np.log(np.exp(logits).sum(axis=-1)) - logits[range(5), TARGETS]
    loss = float(model.compute_loss(TOKENS, [-1, *TARGETS[1:3], -1, -1]))
    assert loss == pytest.approx(surprise[1:3].mean(), rel=1e-12)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, two, three = (TinyLM(6, 8, 2, 16, 2, seed=seed).state() for seed in (1, 1, 2))
    assert all(np.array_equal(one[path], two[path]) for path in one)
    assert not np.array_equal(one["embedding"], three["embedding"])


def test_everything_is_computed_in_the_dtype_of_the_parameters() -> None:
    for dtype in ("float32", "float64"):
        model = TinyLM(6, 8, 2, 16, 2, dtype=dtype, seed=1)
        loss = model.compute_loss(TOKENS, TARGETS)
        loss.backward()
        assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}
        assert {p.grad.dtype for p in model.parameters()} == {loss.dtype} == {np.dtype(dtype)}


def test_generation_at_temperature_zero_takes_the_likeliest_token_each_time() -> None:
    model = TinyLM(6, 8, 2, 16, 2, seed=10, max_len=5)
    written = [3, 1]
    for _ in range(8):  # longer than max_len: only the last five tokens are seen
        written.append(int(model.forward(written[-5:])[0].data[-1].argmax()))
    assert model.generate([3, 1], 8, temperature=0).tolist() == written


def test_generation_with_the_same_random_numbers_gives_the_same_tokens() -> None:
    model = TinyLM(6, 8, 2, 16, 1, seed=10)
    one, two, three = (
        model.generate([3], 20, rng=np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)
    )
    assert one == two != three
    assert one[0] == 3
    assert len(one) == 21


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([], ValueError, r"token_ids must be \(time,\) or \(batch, time\), not \(0,\)"),
        (3, ValueError, r"token_ids must be .* not \(\)"),
        ([[[1]]], ValueError, r"token_ids must be .* not \(1, 1, 1\)"),
        ([1.0, 2.0], TypeError, "token_ids must be integers, not float64"),
        ([1, 6], ValueError, "token id 6 is outside the vocabulary of 6"),
        ([1, -1], ValueError, "token id -1 is outside the vocabulary of 6"),
        (range(6), ValueError, "6 token_ids are more than max_len 5"),
    ],
)
def test_wrong_tokens_are_refused(tokens: Any, error: type[Exception], message: str) -> None:
    model = TinyLM(6, 8, 2, 16, 1, max_len=5, seed=1)
    with pytest.raises(error, match=message):
        model.forward(tokens)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([1, 2], r"targets must be \(5,\), not \(2,\)"),
        ([1, 2, 3, 4, 6], "token id 6 is outside the vocabulary of 6"),
        ([-1] * 5, "there is no target to predict"),
    ],
)
def test_wrong_targets_are_refused(targets: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TinyLM(6, 8, 2, 16, 1, seed=1).compute_loss(TOKENS, targets)


@pytest.mark.parametrize(
    ("sizes", "choices", "message"),
    [
        ((6, 8, 3, 16, 1), {}, "d_model 8 is not divisible by num_heads 3"),
        ((0, 8, 2, 16, 1), {}, "vocab_size must be at least 1, not 0"),
        ((6, -8, 2, 16, 1), {}, "d_model must be at least 1, not -8"),
        ((6, 8, 2, 0, 1), {}, "d_ff must be at least 1, not 0"),
        ((6, 8, 2, 16, -1), {}, "num_layers must be at least 0, not -1"),
        ((6, 8, 2, 16, 1), {"max_len": 0}, "max_len must be at least 1, not 0"),
        ((6, 8, 2, 16, 1), {"norm": "middle"}, "norm is 'middle'; choose 'pre', 'post' or None"),
    ],
)
def test_wrong_sizes_are_refused(
    sizes: tuple[int, ...], choices: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TinyLM(*sizes, **choices)


@settings(deadline=None)
@given(st.data())
def test_a_new_model_loses_as_much_as_one_that_thinks_all_tokens_equally_likely(data: Any) -> None:
    num_heads = data.draw(st.integers(1, 4), "num_heads")
    model = TinyLM(
        data.draw(st.integers(2, 60), "vocab_size"),
        num_heads * data.draw(st.integers(1, 16), "d_model per head"),
        num_heads,
        data.draw(st.integers(1, 64), "d_ff"),
        data.draw(st.integers(0, 4), "num_layers"),
        norm=data.draw(st.sampled_from(["pre", "post", None]), "norm"),
        causal=data.draw(st.booleans(), "causal"),
        seed=data.draw(st.integers(0, 2**32), "seed"),
    )
    ids = st.integers(0, model.vocab_size - 1)
    pairs = data.draw(st.lists(st.tuples(ids, ids), min_size=1, max_size=20), "token and target")
    tokens, targets = zip(*pairs, strict=True)
    loss = float(model.compute_loss(tokens, targets))
    assert loss == pytest.approx(np.log(model.vocab_size), rel=0.05)


def test_a_new_model_sends_a_gradient_to_every_parameter() -> None:
    model = TinyLM(6, 8, 2, 16, 2, seed=0)
    model.compute_loss(TOKENS, TARGETS).backward()
    for path, parameter in model.named_parameters():
        assert np.abs(parameter.grad).max() > 0, path


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
def test_every_node_has_a_textbooks_name_and_no_two_of_one_scope_the_same(norm: Any) -> None:
    model = TinyLM(6, 8, 2, 16, 2, norm=norm, seed=1)
    nodes = topological_order(model.compute_loss(TOKENS, TARGETS))
    called = [(node.scope, node.name) for node in nodes]
    assert all(name for _, name in called)
    assert len(set(called)) == len(called)


def test_the_graph_is_called_as_in_a_textbook() -> None:
    model = TinyLM(6, 8, 2, 16, 1, seed=1)
    nodes = topological_order(model.compute_loss(TOKENS, TARGETS))
    made = [".".join(filter(None, (node.scope, node.name))) for node in nodes if node.parents]
    assert made == [
        *("embeddings", "input", "blocks.0.norm_1.normalized"),
        *(f"blocks.0.attention.{name}" for name in ("q", "k", "v", "attention", "output")),
        *("blocks.0.after_attention", "blocks.0.norm_2.normalized"),
        *(f"blocks.0.feed_forward.{name}" for name in ("before_relu", "hidden", "output")),
        *("blocks.0.after_feed_forward", "norm.normalized", "logits", "loss"),
    ]
    assert {node.name for node in nodes if not node.requires_grad} == {"positions"}


def test_names_say_what_a_node_is() -> None:
    model = TinyLM(6, 8, 2, 16, 1, norm=None, dtype="float64", seed=1)
    nodes = {
        node.name: node.data for node in topological_order(model.compute_loss(TOKENS, TARGETS))
    }
    state, block = model.state(), "blocks.0"
    np.testing.assert_array_equal(nodes["embeddings"], state["embedding"][TOKENS])
    np.testing.assert_array_equal(nodes["positions"], model.positions[:5])
    for name in "qkv":
        product = nodes["input"] @ state[f"{block}.attention.W_{name.upper()}"]
        np.testing.assert_allclose(nodes[name], product, rtol=1e-12)
    np.testing.assert_array_equal(nodes["hidden"], np.maximum(nodes["before_relu"], 0))
    np.testing.assert_array_equal(nodes["logits"], model.forward(TOKENS)[0].data)


def test_the_whole_graph_opens_to_the_same_gradients() -> None:
    model = TinyLM(6, 8, 2, 16, 1, dtype="float64", seed=2)
    loss = model.compute_loss(TOKENS, TARGETS)
    loss.backward(retain_grads=True)
    fused = [node for node in topological_order(loss) if node.op and node.op.definition]
    assert [node.op.name for node in fused] == [
        *("layer_norm", "attention", "layer_norm", "layer_norm", "cross_entropy")
    ]
    for node in fused:
        inside = topological_order(open_node(node))
        leaves = {leaf.name: leaf for leaf in inside if not leaf.parents}
        for parent in node.parents:
            if len(_users(parent, loss)) == 1:  # then all of its gradient is from here
                np.testing.assert_allclose(
                    leaves[parent.name].grad, parent.grad, rtol=0, atol=1e-14
                )


def _users(node: Any, root: Any) -> list[Any]:
    return [user for user in topological_order(root) if any(node is p for p in user.parents)]


@pytest.mark.parametrize("norm", ["pre", "post", None])
def test_the_shapes_of_parameters_are_known_without_a_model(norm: Any) -> None:
    sizes = (7, 8, 2, 12, 3)
    model = TinyLM(*sizes, norm=norm)
    shapes = [(path, array.shape) for path, array in model.state().items()]
    assert list(model.design.parameter_shapes()) == shapes
