"""autolm: the mathematics of training a language model, to watch, draw and prove."""

from autolm.graph import no_grad, record_sites, scope
from autolm.value import Value

__all__ = ["Value", "no_grad", "record_sites", "scope"]
