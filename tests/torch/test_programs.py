"""Each program, walked there and back, has the gradients of a plain run, to the bit."""

import pytest

torch = pytest.importorskip("torch")

import autolm.torch  # noqa: E402
from autolm.engine.watching import backward_pass  # noqa: E402
from autolm.walking.walk import Walk  # noqa: E402
from tests.torch.programs import PROGRAMS  # noqa: E402

# These compute with functions of functions, which no mode sees.
UNSEEN = {"functions_of_functions"}
# The walk adds up within one function what PyTorch adds one by one: right, but for the last bit.
ROUNDED = {"functions_that_use_an_operand_twice"}


def bits(grad):
    return None if grad is None else grad.to_dense() if grad.is_sparse else grad


def same(a, b):
    a, b = bits(a), bits(b)
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(
        torch.view_as_real(a) if a.is_complex() else a,
        torch.view_as_real(b) if b.is_complex() else b,
    )


def same_value(a, b):
    """Compare gradients, of which one of several results has as many, or none."""
    return all(map(same, a, b)) if isinstance(a, tuple) else same(a, b)


def run(make, watch=None):
    """Run a program from the same random state; return it, its gradients and the state after."""
    torch.manual_seed(0)
    program = make()
    torch.manual_seed(1)
    token = backward_pass.set(watch)
    try:
        losses = program.compute()
        torch.autograd.backward(losses)
    finally:
        backward_pass.reset(token)
    grads = {name: leaf.grad for name, leaf in program.leaves.items()}
    return program, grads, torch.get_rng_state()


@pytest.mark.parametrize("segment", [None, 3])
@pytest.mark.parametrize("make", PROGRAMS, ids=lambda make: make.__name__)
def test_walk_there_and_back_has_the_bits_of_a_plain_run(make, segment):
    plain_program, plain, plain_state = run(make)
    walked = {}

    def watch(root, grad, retain_grads):
        with Walk(root, grad, segment=segment) as walk:
            there = [step.upstream for step in iter(walk.step, None)]
            back = []
            while walk.back():
                back.append(walk.preview().upstream)
            walked["back"] = all(map(same_value, there, reversed(back)))
            walk.goto(len(walk.operations) // 2)
            walk.goto(len(walk.operations))
            # Before the end, at which the nodes get what PyTorch's own backward has found.
            walked["shown"] = {n.origin(): n.grad for n in walk.gradients if not n.parents}
            walked["walk"] = walk

    with autolm.torch.record():
        program, grads, state = run(make, watch)
    walk = walked["walk"]
    wrong = [name for name, grad in plain.items() if not same(grad, grads[name])]
    assert not wrong, "after the walk"
    assert walked["back"]
    assert torch.equal(state, plain_state)
    assert sorted(program.log) == sorted(plain_program.log)
    walk_grads = {name: walked["shown"].get(leaf) for name, leaf in program.leaves.items()}
    alike = torch.allclose if make.__name__ in ROUNDED else same
    wrong = [name for name, grad in plain.items() if not alike(grad, walk_grads[name])]
    assert not wrong, "in the walk"
    assert all(
        node.location.user.path.endswith("programs.py") for node in walk.operations if node.location
    )
    assert all(p.order < node.order for node in walk.operations for p in node.parents)
    if make.__name__ not in UNSEEN:
        unknown = [n.op.name for n in walk.operations if getattr(n.data, "is_meta", False)]
        assert not unknown
