"""PyTorch: training that outgrows NumPy (floor 6).

What stands here loads PyTorch (extra `torch`); nothing below knows of it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from autolm.torch.twin import arrays as arrays
    from autolm.torch.twin import load as load
else:
    from autolm.engine.lazy import lazily

    __getattr__, __dir__, __all__ = lazily(globals(), {"autolm.torch.twin": "arrays load"})
