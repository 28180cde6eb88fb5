# %% [markdown] lang="ko"
r"""
# 27강: 커널을 검증하기

빠른 **커널**(kernel)은 역전파 규칙을 손으로 씁니다. 한 점에서 값이 맞는다고 규칙이 옳은 것은 아닙니다. 기울기가 메모리에 어떤 순서로
놓여 있든, 몇 자리로 계산하든, 입력 배열을 바꾸지 않고 같은 답을 내야 합니다. 유한 차분으로는 이런 조건을 검사하지 못합니다.

(kernel-contract)=
## 1. 규칙이 지켜야 하는 조건

$y = f(x)$의 야코비 행렬을 $J$라 하면, 규칙은 $\bar g$를 받아 $J^\top \bar g$를 보냅니다. 이 식은 배열이 메모리에 어떻게 놓이는지와 관계가 없습니다. 그런데 $L = \sum_i y_i$이면
$\bar g_i = 1$이 모두 같으므로, PyTorch의 `sum().backward()`는 수 *하나*를 보폭(stride) 0으로 늘여서 보냅니다. 배열 원소의 주소는 다음과 같습니다.

$$\text{주소}(i, j) = \text{시작} + i\, s_0 + j\, s_1$$

보폭 $s$를 보지 않고 순서대로 읽는 커널은 다른 원소를 읽습니다. 아래의 `hurried`가 그렇습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 27: check a kernel

The backward rule of a fast **kernel** is written by hand. One right number does not make the rule right. It must give the same answer for every memory layout of the gradient and for every precision,
without modifying its inputs. Finite differences test none of this.

(kernel-contract)=
## 1. The conditions on a rule

Write $J$ for the Jacobian of $y = f(x)$. The rule takes $\bar g$ and returns $J^\top \bar g$; this formula does not depend on the layout in memory. But for $L = \sum_i y_i$ all
$\bar g_i = 1$ are equal, so `sum().backward()` in PyTorch sends *one* number, stretched by a stride of 0. The address of an array element is

$$\text{address}(i, j) = \text{start} + i\, s_0 + j\, s_1$$

A kernel that reads in order, without looking at the strides $s$, reads the wrong elements. The rule of `hurried`, below, does this.
"""

# %% tags=["verdicts"]
import numpy as np

from autolm import check_op, primitive
from autolm.ops import Case
from autolm.testing import GradientError

SHAPES = (Case(((2, 3), (3,))), Case(((3, 2), (2,))))


@primitive(cases=SHAPES)
def hurried(x, w):
    """Scale columns; the rule reads its upstream in the order of memory."""

    def backward(grad):
        read = grad.ravel(order="K").reshape(grad.shape)
        return read * w, (read * x).sum(axis=0)

    return x * w, backward


def finite_difference(op, x, w, grad, h=1e-6):
    """The usual check: move each element of x, and see by how much Σ ḡ · y moves."""
    slopes = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        slopes[index] = np.sum(grad * (op(x + step, w).data - op(x - step, w).data)) / (2 * h)
    return slopes


x, w, grad = np.arange(6.0).reshape(2, 3), np.array([2.0, 3.0, 4.0]), np.ones((2, 3))
grad[0] = 0.5
gradient = hurried.forward(x, w)[1](grad)[0]
print("strides:", grad.strides, "of a sum:", np.broadcast_to(1.0, (2, 3)).strides)
print(
    "np.allclose(gradient, finite_difference):",
    np.allclose(gradient, finite_difference(hurried, x, w, grad)),
)
try:
    check_op(hurried, max_examples=6)
except GradientError as error:
    lines = str(error).splitlines()
    print(lines[1])  # the law that fails
    print(next(line for line in lines if "diagnosis" in line))

# %% [markdown] lang="ko"
r"""
흔한 검사는 메모리에 순서대로 놓인 $\bar g$ 하나만 보내므로 이 규칙을 통과시킵니다. `check_op`은 여러 가지 메모리 배열(layout)의 $\bar g$를 보냅니다.

(kernel-rounding)=
## 2. 자릿수가 적을 때의 허용 오차

float16은 수를 상대오차 $\varepsilon = 2^{-11}$ 이내로 반올림합니다. $\mathrm{fl}(a + b) = (a + b)(1 + \delta)$, $|\delta| \le \varepsilon$이므로 $n$개를 차례로
더하면 다음이 성립합니다.

$$\Big|\mathrm{fl}\big(\textstyle\sum_i t_i\big) - \sum_i t_i\Big| \;\le\; n\,\varepsilon \sum_i |t_i| + O(\varepsilon^2)$$

우변은 합이 아니라 **절댓값의** 합입니다. 항들이 서로 상쇄되면 상대오차는 얼마든지 커질 수 있지만, 그래도 규칙은 옳습니다. 그래서 허용 오차는 임의로 정하지 않고
계산합니다.
"""

# %% [markdown] lang="en"
r"""
The usual check sends one $\bar g$ that is contiguous in memory, and the rule passes. `check_op` sends several memory layouts.

(kernel-rounding)=
## 2. Tolerance at low precision

float16 rounds a number by up to $\varepsilon = 2^{-11}$ of itself. Since $\mathrm{fl}(a + b) = (a + b)(1 + \delta)$ with $|\delta| \le \varepsilon$, adding $n$ terms one
by one gives

$$\Big|\mathrm{fl}\big(\textstyle\sum_i t_i\big) - \sum_i t_i\Big| \;\le\; n\,\varepsilon \sum_i |t_i| + O(\varepsilon^2)$$

The right side contains the sum of the **absolute values**, not the sum. If terms cancel, the relative error can be arbitrarily large although the rule is right. So the tolerance is
computed, not chosen.
"""

# %%
rng = np.random.default_rng(0)
for name, offset in (("+ + + +", 2.0), ("+ − + −", 0.0)):
    terms = (rng.uniform(-1, 1, 64) + offset).astype(np.float16)
    in_half = np.float16(0)
    for term in terms:
        in_half = np.float16(in_half + term)
    exact = float(np.sum(terms.astype(float)))
    bound = 64 * 2.0**-11 * float(np.sum(np.abs(terms.astype(float))))
    off = abs(float(in_half) - exact)
    print(f"{name}   |δ| / |Σ| = {off / abs(exact):.1e}   |δ| ≤ n ε Σ|t|: {off <= bound}")

# %%
from autolm import Tensor

total = (Tensor(x, name="x") * Tensor(w, name="w")).sum()

# %% [markdown] lang="ko"
r"""
(kernel-torch)=
## 3. PyTorch의 커널

`torch.autograd.Function`과 `jax.custom_vjp`도 같은 방법으로 검증합니다(`pip install 'autolm[torch]'`). 입력 하나를 고정(`requires_grad=False`)했을 때 `None`을 너무 일찍 돌려주는 규칙은
`torch.autograd.gradcheck`를 통과합니다. `gradcheck`는 모든 기울기를 한꺼번에 구하기 때문입니다.

```python
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:  # nothing to do, it seems
            return None, None
        return grad * weight, (grad * x).sum(0)

check_function(Scale, torch.randn(3, 4), torch.randn(4))
```

```
the gradient of Scale is WRONG                               scale.py:5
  frozen: weight gets none, where only weight requires a gradient
  diagnosis: frozen inputs: wrong where only weight requires a gradient
```

pytest에서도 이 한 줄이면 됩니다. `autolm check kernels.py`는 파일 안의 Function과 규칙을 스스로 찾습니다.

## 한 단계씩 따라가기

$L = \sum_{ij} x_{ij} w_j$의 역전파입니다. `sum`은 $\bar g$로 같은 수 여섯 개를 보내고, 곱은 그것으로 $x$와 $w$의 기울기를 구합니다.

```{player} total
```

## 직접 실행하기

```{run}
from autolm import Value

x, w = Value(3.0), Value(2.0)
y = x * w
loss = y + y
loss.backward()
print("x", x.grad, "w", w.grad)
```

## 연습문제

**1. 값을 예측하세요.** 모양이 $(2, 3)$인 float64 배열이 순서대로 놓여 있습니다. 원소 $(1, 2)$는 시작에서 몇 바이트 떨어져 있습니까?

```{predict} 1 * 24 + 2 * 8

행 하나는 float64 3개, 즉 24바이트입니다.

$1 \cdot 24 + 2 \cdot 8 = 40$.
```

**2. 설명하세요.** 규칙이 $\bar g$를 제자리에서 바꾸면 왜 틀립니까? 자기 기울기는 옳게 보내는데도 그렇습니다.

```{answer}
$\bar g$ 배열은 다른 규칙과 함께 쓰는 것입니다. 다른 경로가 같은 배열을 아직 필요로 할 수 있습니다. $L = y_1 + y_2$에서 두 노드는 같은 $\bar g$를 받습니다. 먼저 실행된 규칙이 그것을 바꾸면 두 번째 기울기가 틀립니다. 그래서 보고서는 기울기가 아니라 *순수성*(purity)이 틀렸다고 말합니다.
```
"""

# %% [markdown] lang="en"
r"""
(kernel-torch)=
## 3. PyTorch kernels

A `torch.autograd.Function` or a `jax.custom_vjp` is checked in the same way (`pip install 'autolm[torch]'`). A rule that returns `None` too early when one input is
frozen (`requires_grad=False`) passes `torch.autograd.gradcheck`, which asks for all gradients at once.

```python
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:  # nothing to do, it seems
            return None, None
        return grad * weight, (grad * x).sum(0)

check_function(Scale, torch.randn(3, 4), torch.randn(4))
```

```
the gradient of Scale is WRONG                               scale.py:5
  frozen: weight gets none, where only weight requires a gradient
  diagnosis: frozen inputs: wrong where only weight requires a gradient
```

In pytest this one line is enough. `autolm check kernels.py` finds the Functions and rules in a file by itself.

## A step at a time

The backward pass of $L = \sum_{ij} x_{ij} w_j$: `sum` sends one number six times as $\bar g$, and the product computes the gradients of $x$ and $w$ from it.

```{player} total
```

## Run it yourself

```{run}
from autolm import Value

x, w = Value(3.0), Value(2.0)
y = x * w
loss = y + y
loss.backward()
print("x", x.grad, "w", w.grad)
```

## Exercises

**1. Predict.** A float64 array of shape $(2, 3)$ is contiguous in memory. How many bytes from its start is the element $(1, 2)$?

```{predict} 1 * 24 + 2 * 8

One row is 3 numbers of float64, 24 bytes.

$1 \cdot 24 + 2 \cdot 8 = 40$.
```

**2. Explain.** Why is a rule wrong that changes $\bar g$ in place, although what it sends is right?

```{answer}
The array $\bar g$ is shared. Another path may still need it: for $L = y_1 + y_2$ both nodes receive the same $\bar g$, and if the first rule changes it, the
second gradient is wrong. So the report calls the *purity* wrong, and not the gradient.
```
"""
