from collections import Counter

import numpy as np
from hypothesis import find, given, settings

from autolm import ops
from autolm.ops.array_operation import Case
from autolm.testing import Verdict, check_gradient, expressions
from autolm.testing.laws.values import compare_expression, graphs
from autolm.testing.running import examine
from autolm.testing.subject import Subject

from .everyday_operations import RIGHT
from .wrong_operations import product_swapped


@settings(max_examples=60)
@given(expressions())
def test_no_correct_graph_raises_an_alarm(expression):
    found = compare_expression(expression, expression.gradients())
    assert found.verdict is Verdict.CORRECT, (expression, found)


def test_graphs_have_shared_nodes_aliases_diamonds_and_several_backward_calls():
    found = Counter()
    settings(max_examples=60)(given(expressions())(lambda e: found.update(e.features().keys())))()
    assert min(found[f] for f in ("shared node", "alias", "unequal diamond")) >= 5
    assert found["several backward calls"] >= 5


def test_a_graph_can_be_built_though_applications_were_given_up_on_the_way():
    batched = Subject.of(RIGHT["batched_matrix_product"][0], cases=[Case(((2, 2, 3), (2, 3, 2)))])

    @settings(max_examples=100)
    @given(expressions((ops.mul, ops.sum), required=batched))
    def is_built(expression):
        expression.build()

    is_built()


def test_a_required_operation_is_in_every_graph():
    subject = Subject.of(ops.gelu)

    @given(expressions((ops.add, ops.mul), required=subject))
    def contains(expression):
        assert ops.gelu in [application.op for application in expression.applications]

    contains()


def test_a_counterexample_shrinks_to_a_graph_that_fits_in_the_eye():
    (outcome,) = examine(Subject.of(product_swapped), 30, [graphs])
    assert len(outcome.broken.example.applications) <= 6


def test_the_printed_program_computes_the_same():
    expression = find(expressions(), lambda e: len(e.applications) >= 3 and len(e.leaves) >= 2)
    names = {op.name: op for op in ops.OPERATIONS}
    exec(expression.program(), {"np": np, **names}, names)
    result = names["f"](*[np.asarray(leaf) for leaf in expression.leaves])
    assert np.allclose(result.data, expression.weighted(*expression.leaves).sum())
    assert check_gradient(names["f"], *expression.leaves).verdict is Verdict.CORRECT
