"""What if a tensor were another: the same as to run the program with it, and the same chances."""

import pytest

torch = pytest.importorskip("torch")

import autolm.torch  # noqa: E402
from autolm import edit  # noqa: E402
from tests.torch.programs import PROGRAMS  # noqa: E402
from tests.torch.test_programs import bits  # noqa: E402

# What PyTorch did where no mode sees it, and what was written through a view.
REFUSED = {"functions_of_functions", "writes_through_views"}
# What was computed of a leaf without a gradient is a constant of the graph, and stays.
WITHOUT_A_GRADIENT = {"parts_without_a_gradient"}
# A hook draws anew for each gradient that it is asked about.
CHANCE = {"hooks_that_draw_random_numbers"}
# Adds up within a function what PyTorch adds one by one: right, but for the last bit.
ROUNDED = {"functions_that_use_an_operand_twice"}
ALIKE = [
    program
    for program in PROGRAMS
    if program.__name__ not in REFUSED | WITHOUT_A_GRADIENT | CHANCE | ROUNDED | {"several_losses"}
]


def moved_by(data):
    return data * 1.5 + 0.1


def losses_of(make, name=""):
    torch.manual_seed(0)
    program = make()
    if name:
        program.leaves[name].data = moved_by(program.leaves[name].data)
    torch.manual_seed(1)
    return program, program.compute()


def leaves_of(make):
    return [name for name, leaf in losses_of(make)[0].leaves.items() if leaf.requires_grad]


@pytest.mark.parametrize("make", ALIKE, ids=lambda make: make.__name__)
def test_set_leaf_gives_what_a_run_with_it_gives(make):
    names = leaves_of(make)
    name = names[len(names) // 2]
    plain, expected = losses_of(make, name)
    expected.backward()
    with autolm.torch.record():
        program, loss = losses_of(make)
    before, state = loss.detach().clone(), torch.get_rng_state()
    root, leaf = autolm.torch.graph(loss), autolm.torch.node(program.leaves[name])
    result = edit(root, leaf, moved_by(leaf.data))
    assert torch.equal(root.data, expected.detach())
    gradients = {n.origin(): grad.after for n, grad in result.gradients.items() if not n.parents}
    compared = [key for key in program.leaves if program.leaves[key] in gradients]
    assert compared
    for leaf_name in compared:
        grad = plain.leaves[leaf_name].grad
        assert torch.equal(bits(gradients[program.leaves[leaf_name]]), bits(grad)), leaf_name
    assert torch.equal(state, torch.get_rng_state())
    result.undo()
    assert torch.equal(root.data, before)


@pytest.mark.parametrize("make", [p for p in PROGRAMS if p.__name__ in REFUSED])
def test_what_cannot_be_computed_again_is_named_and_nothing_changes(make):
    with autolm.torch.record():
        program, loss = losses_of(make)
    root = autolm.torch.graph(loss)
    leaf = autolm.torch.node(program.leaves[leaves_of(make)[0]])
    before = leaf.data.clone()
    with pytest.raises(ValueError, match="cannot be computed again: "):
        edit(root, leaf, moved_by(leaf.data))
    assert torch.equal(leaf.data, before)
