"""The laws that a correct operation keeps, in the order in which a report shows them.

Of the laws that are broken the first is reported. Operations on arrays and kernels of PyTorch and
JAX share most of them; a law that asks for more than a call can tell applies to kernels only.
"""

from autolm.testing.kernels import composing, laws, precision, torch_laws
from autolm.testing.laws.conditions import dtypes, layouts, state
from autolm.testing.laws.definitions import opens, relations, scalar
from autolm.testing.laws.edges import extremes, kinks
from autolm.testing.laws.gradients import aliases, linear, rule, shapes
from autolm.testing.laws.law import Law
from autolm.testing.laws.purity import hygiene
from autolm.testing.laws.scales import elements, magnitudes, sizes

LAWS: tuple[Law, ...] = (
    *(rule, shapes, layouts, aliases, hygiene, state, kinks, extremes, linear, dtypes),
    *(magnitudes, elements, sizes, scalar, opens, relations),
)
TORCH_LAWS: tuple[Law, ...] = (
    *(rule, torch_laws.upstreams, torch_laws.inputs, laws.frozen, laws.results, laws.broadcasting),
    # The first law of purity that breaks names the cause: memory is why others break too.
    *(laws.sizes, aliases, torch_laws.memory, torch_laws.random_state, laws.hygiene, laws.state),
    *(laws.kinks, laws.extremes, laws.linear, laws.magnitudes, elements, torch_laws.surroundings),
    *(precision.precision, composing.order, composing.vmap, laws.reference),
)
JAX_LAWS: tuple[Law, ...] = (
    *(rule, laws.frozen, laws.results, laws.broadcasting, laws.sizes, aliases, laws.hygiene),
    *(laws.state, laws.kinks, laws.extremes, laws.linear, laws.magnitudes, elements),
    *(precision.precision, composing.order, composing.vmap, laws.reference),
)
