"""PyTorch in one thread: these programs are small, and other tests run beside them."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    pytest.importorskip("torch").set_num_threads(1)
