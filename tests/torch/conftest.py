"""PyTorch in one thread: these programs are small, and other tests run beside them."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    pytest.importorskip("torch").set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def no_model_of_another_file():
    """Forget the models of other tests: only the first has its names without its class."""
    pytest.importorskip("torch")
    from autolm.torch import module_paths

    module_paths._paths.clear()
    module_paths._roots.clear()
