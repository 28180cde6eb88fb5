"""A value in a counterexample is written so that Python reads it back."""

import numpy as np
import pytest

from autolm.testing.call import literal

SCALARS = sorted(
    {kind for kind in np.sctypeDict.values() if issubclass(kind, np.number | np.bool_)},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", SCALARS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("number", [0, 1])
def test_a_scalar_of_any_type_is_written_so_that_it_is_read_back(kind, number):
    assert eval(literal(kind(number)), {"np": np}) == number
