# %% [markdown] lang="ko"
r"""
# 20강: 기울기를 검증하기

기울기가 틀려도 오류 메시지는 좀처럼 나오지 않습니다. 모델이 조금 덜 배울 뿐이고, 이유를 알기 어렵습니다. 그래서 역전파 **규칙**(rule)은 검증해야 합니다.
전혀 다른 방법으로 구한 도함수의 값과 비교합니다. 여러 점에서 수가 일치한다는 확인이므로 증명은 아닙니다. 증명, 즉 유도는 10강에 있습니다.

(write-an-operation)=
## 1. 연산 하나를 쓰기

연산은 결과와 역전파 규칙을 함께 돌려주는 함수입니다. $\mathrm{silu}(a) = a\,\sigma(a)$이고, 곱의 미분법에 의해

$$\frac{d}{da}\, a\,\sigma(a) = \sigma + a\,\sigma' = \sigma + a\,\sigma(1 - \sigma).$$

옳은 규칙과, 곱의 미분법에서 항 하나를 빠뜨린 규칙을 하나씩 씁니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 20: check a gradient

A wrong gradient seldom causes an error. The model just learns less well, and it is hard to see why. So don't trust a rule, test it: compare it with derivatives
computed in a completely different way. Agreement at sample points is a check, not a proof; the proofs are the derivations of lesson 10.

(write-an-operation)=
## 1. Write an operation

An operation is a function that returns its result and its backward rule. For $\mathrm{silu}(a) = a\,\sigma(a)$, the product rule gives

$$\frac{d}{da}\, a\,\sigma(a) = \sigma + a\,\sigma' = \sigma + a\,\sigma(1 - \sigma).$$

We write a correct rule, and one that omits a term of the product rule.
"""

# %% tags=["verdicts"]
import numpy as np

from autolm import Tensor, check_graph, check_op, primitive
from autolm.ops import Case
from autolm.testing import GradientError, causal_along, mutation_report


@primitive(symbol="silu", formula="a · σ(a)", rule=("ḡ · (σ + a · σ · (1 − σ))",))
def silu(a):
    """Gate a number by its own sigmoid."""
    gate = 1 / (1 + np.exp(-a))

    def backward(grad):
        return (grad * (gate + a * gate * (1 - gate)),)

    return a * gate, backward


@primitive
def hasty_silu(a):
    """Do the same, but forget that the gate depends on a as well: half of the product rule."""
    gate = 1 / (1 + np.exp(-a))

    def backward(grad):
        return (grad * gate,)

    return a * gate, backward


print(check_op(silu, max_examples=12))

# %% [markdown] lang="ko"
r"""
(complex-step)=
## 2. 무엇과 비교하는가: 복소수 스텝 미분

수치 미분 $\frac{f(a + h) - f(a)}{h}$는 $h$가 크면 부정확하고, 작으면 뺄셈에서 유효숫자가 사라집니다(14강). 대신 **복소수 스텝 미분**(complex step)을 씁니다.
$f$가 해석함수이고 실수에서 실숫값을 가지면, 테일러 전개에 의해

$$f(a + ih) = f(a) + ih f'(a) - \tfrac{h^2}{2} f''(a) - \dots
\qquad\Rightarrow\qquad f'(a) = \frac{\operatorname{Im} f(a + ih)}{h} + O(h^2)$$

뺄셈이 없으므로 $h = 10^{-30}$처럼 아주 작게 잡을 수 있고, 15자리가 모두 맞습니다. 항을 빠뜨린 규칙은 이렇게 발견됩니다.
"""

# %% [markdown] lang="en"
r"""
(complex-step)=
## 2. What to compare with: the complex step

A finite difference $\frac{f(a + h) - f(a)}{h}$ is inaccurate for large $h$, and for small $h$ the subtraction cancels its digits
(lesson 14). Instead we take a **complex step**. If $f$ is analytic and real for real arguments, Taylor's expansion gives

$$f(a + ih) = f(a) + ih f'(a) - \tfrac{h^2}{2} f''(a) - \dots
\qquad\Rightarrow\qquad f'(a) = \frac{\operatorname{Im} f(a + ih)}{h} + O(h^2)$$

Nothing is subtracted, so $h$ can be $10^{-30}$, and all 15 digits are right. This is how the incomplete rule is found:
"""


# %% tags=["verdicts"]
def f(a):
    return a / (1 + np.exp(-a))


def report(error, lines):
    """Say what a check says, without the place in this file."""
    first, *rest = str(error).splitlines()
    print("\n".join([first.partition("     ")[0], *rest[: lines - 1]]))


gate = 1 / (1 + np.exp(-0.7))
print(f"Im f(0.7 + ih) / h      = {f(0.7 + 1e-30j).imag / 1e-30:.15f}")
print(f"σ + a σ (1 − σ)         = {gate + 0.7 * gate * (1 - gate):.15f}")
print(f"(f(a + h) − f(a)) / h   = {(f(0.7 + 1e-5) - f(0.7)) / 1e-5:.15f}\n")
try:
    check_op(hasty_silu, max_examples=12)
except GradientError as error:
    report(error, 7)

# %% [markdown] lang="ko"
r"""
(usual-check)=
## 3. 흔한 검사는 쉽게 통과됩니다

합을 구해서 유한 차분과 비교하는 검사가 흔합니다. 일부러 틀리게 바꾼 규칙들(변이, mutant)을 이 검사로
검사하면, 통과하는 것(survived)이 있습니다. 그런 실수는 이 검사로 찾을 수 없습니다.
"""

# %% [markdown] lang="en"
r"""
(usual-check)=
## 3. The usual check is easy to pass

The usual check takes a sum and compares with finite differences. We apply it to rules that were broken on purpose (mutants). The survivors are mistakes
that this check does not find.
"""


# %% tags=["verdicts"]
def usual_check(op):
    x = Tensor([0.5, -1.0, 2.0])
    op(x).sum().backward()
    h = 1e-3
    slopes = [(op(x.data + h * e).data - op(x.data - h * e).data) / (2 * h) for e in np.eye(3)]
    assert np.allclose(x.grad, np.sum(slopes, axis=1), rtol=1e-3)


print(mutation_report(silu, usual_check))

# %% [markdown] lang="ko"
r"""
(blame)=
## 4. 그래프에서 틀린 노드 찾기

그래프 어딘가가 틀렸을 때는 틀린 노드의 이름을 알려 줍니다. 함수 자체가 틀렸는데 기울기는 옳은 경우도 있습니다. 아래의 `running_sum`은
축의 방향이 잘못되어 뒤에 올 값을 봅니다. 기울기는 옳지만, "이전 위치만 본다"(causal)는 관계를 선언해 두면 발견됩니다.
"""

# %% [markdown] lang="en"
r"""
(blame)=
## 4. Find the wrong node of a graph

If a graph is wrong somewhere, the check names the wrong node. A function can also be wrong although its gradient is right: `running_sum`
below goes along the axis in the wrong direction and sees later values. If the relation "causal" is declared, the check finds it.
"""

# %% tags=["verdicts"]
try:
    check_graph(silu(hasty_silu(Tensor([1.0, 2.0], name="x"))).sum())
except GradientError as error:
    report(error, 7)


@primitive(relations=(causal_along(-1),))
def running_sum(a):
    """Add up to here; but the slip in the axis makes it look into the future."""
    return np.cumsum(a[..., ::-1], axis=-1)[..., ::-1], lambda grad: (np.cumsum(grad, axis=-1),)


print()
try:
    check_op(running_sum, cases=[Case(((3,),))], max_examples=12)
except GradientError as error:
    report(error, 4)

# %% [markdown] lang="ko"
r"""
## 들여다보기

플레이어는 프로그램이 하는 일을 그대로 보여 줍니다. 규칙이 틀렸으면 틀린 대로입니다. 아래에서 `hasty_silu`가 $\bar g$에 무엇을 곱해 보내는지, 옳은
`silu`의 규칙과 비교해 보세요.
"""

# %% [markdown] lang="en"
r"""
## Look into it

The player shows what a program does, right or wrong. Compare the factor by which `hasty_silu` multiplies $\bar g$ with that of the correct rule of
`silu`.
"""

# %%
wrong = (silu(Tensor([1.0, 2.0], name="x")) + hasty_silu(Tensor([1.0, 2.0], name="z"))).sum()

# %% [markdown] lang="ko"
r"""
```{player} wrong
1: silu
2: hasty_silu
8: 거꾸로: hasty_silu
9: 거꾸로: silu
```

## 직접 실행하기

```{run}
import cmath
from autolm import Value

a = Value(0.7)
y = a * a.sigmoid()
y.backward()
f = lambda x: x / (1 + cmath.exp(-x))
print("backprop ", a.grad)
print("complex  ", f(0.7 + 1e-30j).imag / 1e-30)
print("forward  ", (f(0.7 + 1e-5).real - f(0.7).real) / 1e-5)
```

## 연습문제

**1. 틀린 규칙을 찾으세요.** 위의 `hasty_silu`입니다. 직접 고치고, 내려받아 `autolm check`로 검증하세요.

```{exercise} hasty_silu
곱의 미분법: (uv)′ = u′v + uv′.
u = a, v = σ(a)입니다. v′ = σ(1 − σ).
```

**2. 규칙을 쓰세요.** $y = \sqrt{a^2 + b^2 + 1}$.

```{exercise} long_side
y² = a² + b² + 1의 양변을 a로 미분해 보세요: 2y · ∂y/∂a = 2a.
```
"""

# %% [markdown] lang="en"
r"""
```{player} wrong
1: silu
2: hasty_silu
8: back: hasty_silu
9: back: silu
```

## Run it yourself

```{run}
import cmath
from autolm import Value

a = Value(0.7)
y = a * a.sigmoid()
y.backward()
f = lambda x: x / (1 + cmath.exp(-x))
print("backprop ", a.grad)
print("complex  ", f(0.7 + 1e-30j).imag / 1e-30)
print("forward  ", (f(0.7 + 1e-5).real - f(0.7).real) / 1e-5)
```

## Exercises

**1. Find the wrong rule.** It is `hasty_silu` from above. Fix it yourself, download it, and check it with `autolm check`.

```{exercise} hasty_silu
The product rule: (uv)′ = u′v + uv′.
Here u = a and v = σ(a), and v′ = σ(1 − σ).
```

**2. Write the rule.** $y = \sqrt{a^2 + b^2 + 1}$.

```{exercise} long_side
Differentiate both sides of y² = a² + b² + 1 with respect to a: 2y · ∂y/∂a = 2a.
```
"""
