"""`native()`: when it holds, what it needs, and that a model trains by it as by NumPy."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from autolm import Tensor, native, ops
from autolm.lm.tinylm import TinyLM
from autolm.nn import AdamW
from autolm.ops.backend import current_native
from tests.compiled.tapes import needs_numba


@needs_numba
def test_it_holds_in_its_block_and_nests_and_ends_with_an_error():
    assert current_native() is None
    with native():
        outer = current_native()
        with native(False):
            assert current_native() is None
        assert current_native() is outer
        with pytest.raises(KeyError), native():
            raise KeyError
        assert current_native() is outer
    assert current_native() is None


@needs_numba
def test_it_decorates_a_function():
    @native()
    def inside():
        return current_native()

    assert inside() is not None
    assert current_native() is None


@needs_numba
def test_it_does_not_reach_other_threads():
    seen = []
    with native():
        thread = threading.Thread(target=lambda: seen.append(current_native()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_without_numba_it_says_how_to_get_it():
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "from autolm import native\n"
        "with native(False): pass\n"
        "with native(): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last == "ModuleNotFoundError: native() needs numba: pip install 'autolm[fast]'"


@needs_numba
@pytest.mark.parametrize("dtype, digits", [("float32", 2e-4), ("float64", 1e-11)])
def test_a_model_trains_as_by_numpy(dtype, digits):
    tokens = np.random.default_rng(0).integers(7, size=(3, 9))
    losses = {}
    for enabled in (False, True):
        model = TinyLM(7, 8, 2, 16, 2, max_len=8, dtype=dtype, seed=1)
        optimizer = AdamW(model.named_parameters(), 0.01, weight_decay=0.1)
        losses[enabled] = []
        with native(enabled):
            for _ in range(20):
                optimizer.zero_grad()
                loss = model.compute_loss(tokens[:, :-1], tokens[:, 1:])
                loss.backward()
                optimizer.step()
                losses[enabled].append(float(loss))
    np.testing.assert_allclose(losses[True], losses[False], rtol=digits)
    assert losses[True] != losses[False]  # so it was another arithmetic
    assert losses[True][-1] < losses[True][0] / 2


@needs_numba
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_moves_parameters_as_by_numpy_also_where_some_have_no_gradient(decay):
    shapes = [(3, 2), (4,), (2, 2), (5,)]
    moved = {}
    for enabled in (False, True):
        rng = np.random.default_rng(0)
        parameters = [Tensor(rng.normal(size=shape)) for shape in shapes]
        old = [parameter.data for parameter in parameters]
        copies = [array.copy() for array in old]
        optimizer = AdamW(parameters, 0.1, betas=(0.8, 0.95), weight_decay=decay)
        with native(enabled):
            for without in (0, 1, 2):
                for i, parameter in enumerate(parameters):
                    parameter.grad = None if i == without else rng.normal(size=parameter.shape)
                optimizer.step()
        assert all((a == b).all() for a, b in zip(old, copies, strict=True))  # bound anew
        state = [array for _, array in sorted(optimizer.state().items())]
        moved[enabled] = [*(parameter.data for parameter in parameters), *state]
    for numpy_array, native_array in zip(moved[False], moved[True], strict=True):
        np.testing.assert_allclose(native_array, numpy_array, rtol=1e-13, atol=1e-15)


@needs_numba
@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_other_kinds_of_numbers_are_optimized_by_numpy(dtype):
    moved = []
    for enabled in (False, True):
        w = Tensor(np.ones(4, dtype))
        w.grad = np.arange(4)
        with native(enabled):
            AdamW([w], 0.1).step()
        moved.append(w.data)
    np.testing.assert_array_equal(*moved)
    assert moved[1].dtype == dtype


@needs_numba
@pytest.mark.parametrize("size", [3, 1000])  # a copy is its fingerprint; a compiled fold is
@pytest.mark.parametrize("backward_too", [True, False])
def test_an_array_written_into_is_noticed_wherever_the_backward_pass_runs(size, backward_too):
    x, gain = Tensor(np.ones((2, size))), Tensor(np.ones(size))
    with native():
        y = ops.rms_norm(x, gain).sum()
    with native(backward_too):
        y.backward()
        x.data[1, -1] = 2
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


@needs_numba
def test_a_result_shown_inside_and_then_written_into_is_noticed():
    x = Tensor(np.ones((2, 1000)))
    with native():
        h = x * 2
        y = (h * h).sum()
        h.data[0, 0] = 5
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
