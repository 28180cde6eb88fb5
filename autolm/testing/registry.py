"""The laws that are tried, in the order in which a report lists them.

A report describes the first law that is broken. Operations on arrays and kernels of PyTorch and JAX
share most laws; laws that need another library's features apply to its kernels only.
"""

from autolm.testing.kernels import kernel_laws, precision, torch_laws, transforms
from autolm.testing.laws.backward_rule import aliases, linear, rule, shapes
from autolm.testing.laws.conditions import dtypes, layouts, state
from autolm.testing.laws.edges import extremes, kinks
from autolm.testing.laws.equivalent_definitions import opens, relations, scalar
from autolm.testing.laws.law import Law
from autolm.testing.laws.purity import hygiene
from autolm.testing.laws.scales import elements, magnitudes, sizes

LAWS: tuple[Law, ...] = (
    *(rule, shapes, layouts, aliases, hygiene, state, kinks, extremes, linear, dtypes),
    *(magnitudes, elements, sizes, scalar, opens, relations),
)
_SIZES_OF_KERNELS = (kernel_laws.broadcasting, kernel_laws.sizes, aliases)
_PURITY_OF_KERNELS = (kernel_laws.hygiene, kernel_laws.state)
_NUMBERS_OF_KERNELS = (
    *(kernel_laws.kinks, kernel_laws.extremes, kernel_laws.linear),
    *(kernel_laws.magnitudes, elements),
)
_OPTIONS_OF_KERNELS = (
    *(precision.precision, transforms.order, transforms.vmap),
    kernel_laws.reference,
)
TORCH_LAWS: tuple[Law, ...] = (
    *(rule, torch_laws.upstreams, torch_laws.inputs, kernel_laws.frozen, kernel_laws.results),
    *_SIZES_OF_KERNELS,
    # The report names the first impurity, and uninitialised memory breaks the laws after it.
    *(torch_laws.memory, torch_laws.random_state),
    *_PURITY_OF_KERNELS,
    *_NUMBERS_OF_KERNELS,
    torch_laws.surroundings,
    *_OPTIONS_OF_KERNELS,
)
JAX_LAWS: tuple[Law, ...] = (
    *(rule, kernel_laws.frozen, kernel_laws.results),
    *_SIZES_OF_KERNELS,
    *_PURITY_OF_KERNELS,
    *_NUMBERS_OF_KERNELS,
    *_OPTIONS_OF_KERNELS,
)
