from collections import Counter

import numpy as np
from hypothesis import find, given, settings

from autolm import ops
from autolm.ops.array_operation import Case
from autolm.testing import Verdict, check_gradient, differentiate, expressions
from autolm.testing.subject import Subject
from autolm.testing.verdict import compare

from .everyday_operations import RIGHT


@settings(max_examples=60)
@given(expressions())
def test_no_correct_graph_raises_an_alarm(expression):
    derivative = differentiate(expression.weighted, expression.leaves)
    names = [expression.name(i) for i in range(len(expression.leaves))]
    ones, floor = np.ones(derivative.result.shape), expression.rounding_floor()
    actual = compare(names, expression.gradients(), derivative, ones, floor=floor)
    assert actual.verdict is Verdict.CORRECT, (expression, actual)


def test_graphs_have_shared_nodes_aliases_diamonds_and_several_backward_calls():
    actual = Counter()
    settings(max_examples=60)(given(expressions())(lambda e: actual.update(e.features().keys())))()
    assert min(actual[f] for f in ("shared node", "alias", "unequal diamond")) >= 5
    assert actual["several backward calls"] >= 5


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


def test_the_printed_program_computes_the_same():
    expression = find(expressions(), lambda e: len(e.applications) >= 3 and len(e.leaves) >= 2)
    names = {op.name: op for op in ops.OPERATIONS}
    exec(expression.program(), {"np": np, **names}, names)
    result = names["f"](*[np.asarray(leaf) for leaf in expression.leaves])
    assert np.allclose(result.data, expression.weighted(*expression.leaves).sum())
    assert check_gradient(names["f"], *expression.leaves).verdict is Verdict.CORRECT
