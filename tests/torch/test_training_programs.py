"""Training programs, walked there and back at every backward, are those of a plain run."""

import pytest

torch = pytest.importorskip("torch")

import autolm.torch  # noqa: E402
from autolm.engine.watching import backward_pass  # noqa: E402
from autolm.walking.walk import Walk  # noqa: E402
from tests.torch.test_programs import same  # noqa: E402
from tests.torch.training_programs import PROGRAMS, ROUNDED  # noqa: E402

# How many of the passes are named, and not walked.
UNWALKED = {"jagged_batches": 2, "backward_in_a_thread": 1}


def copied(tensor):
    return None if tensor is None else tensor.detach().clone()


def run(program, watch=None):
    """Run a program; return all parameters and gradients that it noted, and the random state."""
    noted = []

    def note(*values):
        for value in values:
            if isinstance(value, torch.nn.Module):
                tensors = [*value.parameters(), *value.buffers()]
            else:
                tensors = [value]
            for tensor in tensors:
                noted.extend((copied(tensor), copied(tensor.grad) if tensor.is_leaf else None))

    torch.manual_seed(0)
    token = backward_pass.set(watch)
    try:
        program(note)
    finally:
        backward_pass.reset(token)
    return noted, torch.get_rng_state()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_training_program_walked_at_every_backward_has_the_bits_of_a_plain_run(
    program, monkeypatch
):
    monkeypatch.setenv("AUTOLM_STRICT", "1")
    plain, plain_state = run(program)
    passes, pairs = [], []

    def watch(root, grad, retain_grads):
        with Walk(root, grad, segment=5 if len(passes) % 2 else None) as walk:
            steps = len(walk.operations)
            assert all(p.order < node.order for node in walk.operations for p in node.parents)
            walk.goto(steps // 2)
            walk.goto(0)
            walk.goto(steps)
            leaves = [(n, n.grad) for n in walk.leaves if n.origin() is not None]
        passes.append(steps)
        if program.__name__ != "optimizer_in_the_backward_pass":  # which takes them away
            pairs.extend((copied(node.origin().grad), copied(grad)) for node, grad in leaves)

    plain_passes = count_of_backward(program)
    with autolm.torch.record():
        walked, state = run(program, watch)
    assert len(passes) == plain_passes - UNWALKED.get(program.__name__, 0)
    assert len(walked) == len(plain)
    assert all(map(same, walked, plain))
    assert torch.equal(state, plain_state)
    alike = torch.allclose if program.__name__ in ROUNDED else same
    assert all(alike(a, b) for a, b in pairs)


def count_of_backward(program):
    """Count the calls of `backward` that a program makes, and not those within them."""
    count, depth, usual = 0, 0, torch.autograd.backward

    def counted(*args, **kwargs):
        nonlocal count, depth
        count += depth == 0
        depth += 1
        try:
            return usual(*args, **kwargs)
        finally:
            depth -= 1

    torch.autograd.backward = counted
    try:
        run(program)
    finally:
        torch.autograd.backward = usual
    return count
