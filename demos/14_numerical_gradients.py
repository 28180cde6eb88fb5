# %% [markdown] lang="ko"
r"""
# 14강: 수치 기울기와 역전파

강의의 `train_step`은 기울기를 **수치 미분**(numerical differentiation)으로 구하고, "실제로는 역전파를 사용"한다고 말합니다. 둘을 나란히 놓고 값, 비용, 오차를 재고, 그 코드에
숨은 함정을 봅니다.

(numerical-cost)=
## 1. 비용

전진 차분 $\dfrac{L(\theta + \varepsilon e_i) - L(\theta)}{\varepsilon}$은 파라미터마다 순전파를 한 번씩 더 합니다. 역전파는 순전파 두세 번의 비용으로 **모든** 파라미터의
기울기를 구합니다. 강의의 모델($V = 50, d = 32, N = 2$)로 세어 봅시다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 14: numerical gradients and backpropagation

The lesson's `train_step` computes **numerical** gradients, and says "in practice, backpropagation is used". We compare the numbers, the cost and the error of both, and find a trap in
that code.

(numerical-cost)=
## 1. The cost

A forward difference $\dfrac{L(\theta + \varepsilon e_i) - L(\theta)}{\varepsilon}$ takes one more forward pass for each parameter. Backpropagation finds the gradient of **all** of them at the cost of two or
three forward passes. We count with the lesson's model ($V = 50, d = 32, N = 2$):
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from autolm import TinyLM, no_grad

model = TinyLM(50, 32, 4, 64, 2, norm=None, causal=False, dtype="float64", seed=0)
tokens, targets = np.array([5, 12, 23]), np.array([12, 23, 45])
loss = model.compute_loss(tokens, targets)
loss.backward()
exact = model.embedding.grad[tokens]


def L():
    with no_grad():
        return float(model.compute_loss(tokens, targets))


def loss_after_moving(row, column, step):
    """Return the loss with one number of the embedding moved; then put it back."""
    original = model.embedding.data
    changed = original.copy()
    changed[row, column] += step
    model.embedding.data = changed
    value = L()
    model.embedding.data = original
    return value


n = model.num_parameters()
print(f"L(θ + ε eᵢ): {n + 1} ×   L.backward(): 1 ×")
print(f"L = {L():.6f}")
print("             E[5,0]       E[12,0]      E[23,0]")
forward = [(loss_after_moving(t, 0, 1e-5) - L()) / 1e-5 for t in tokens]
central = [(loss_after_moving(t, 0, 1e-5) - loss_after_moving(t, 0, -1e-5)) / 2e-5 for t in tokens]
for name, slopes in (("forward ", forward), ("central ", central), ("backprop", exact[:, 0])):
    print(name, "  ", "  ".join(f"{slope:+.3e}" for slope in slopes))

# %% [markdown] lang="ko"
r"""
(step-size)=
## 2. 오차와 간격 ε의 크기

테일러 전개에서 $\dfrac{f(x + \varepsilon) - f(x)}{\varepsilon} = f'(x) + \dfrac{\varepsilon}{2}f''(x) + \dots$입니다. **절단 오차**(truncation error)는 $\varepsilon$에 비례합니다. 한편
컴퓨터는 $f$를 상대오차 $u \approx 10^{-16}$의 정확도로만 계산합니다. 차분에는 그런 값이 두 개 있으므로 **반올림 오차**(rounding error)는 최대 $2u|f|/\varepsilon$이고, $\varepsilon$이 작을수록 커집니다. 둘을 더한 것이 가장 작은 곳은

$$\frac{d}{d\varepsilon}\Bigl(\frac{\varepsilon}{2}|f''| + \frac{2u|f|}{\varepsilon}\Bigr) = 0 \;\Rightarrow\; \varepsilon \approx 2\sqrt{u\,|f/f''|} \sim 10^{-8}.$$

중앙 차분은 절단 오차가 $\varepsilon^2$에 비례해서 $\varepsilon \sim u^{1/3} \approx 10^{-5}$에서 가장 좋고, 복소수 스텝 미분(20강)에는 반올림 오차가 없습니다. $f(x) = e^x \sin x$,
$x = 1$에서 계산해 봅시다.
"""

# %% [markdown] lang="en"
r"""
(step-size)=
## 2. Error and step size

By Taylor's expansion $\dfrac{f(x + \varepsilon) - f(x)}{\varepsilon} = f'(x) + \dfrac{\varepsilon}{2}f''(x) + \dots$: the **truncation error** is proportional to $\varepsilon$. But a computer knows $f$ only to a
relative error of $u \approx 10^{-16}$. The difference contains two such values, so the **rounding error** is at most $2u|f|/\varepsilon$: it grows as the step shrinks. The sum is smallest where

$$\frac{d}{d\varepsilon}\Bigl(\frac{\varepsilon}{2}|f''| + \frac{2u|f|}{\varepsilon}\Bigr) = 0 \;\Rightarrow\; \varepsilon \approx 2\sqrt{u\,|f/f''|} \sim 10^{-8}.$$

The truncation error of a central difference is proportional to $\varepsilon^2$, so it is best at $\varepsilon \sim u^{1/3} \approx 10^{-5}$; and the complex step (lesson 20) has no rounding error. We measure this for $f(x) = e^x \sin x$ at
$x = 1$:
"""


# %% tags=["varies"] en="relative error by step size: forward and central differences are worse on both sides, complex steps are not" ko="간격 ε에 따른 상대오차: 전진 차분과 중앙 차분은 양쪽에서 커지고, 복소수 스텝 미분은 그렇지 않습니다"
def f(x):
    return np.exp(x) * np.sin(x)


true = np.exp(1.0) * (np.sin(1.0) + np.cos(1.0))
steps = 10.0 ** -np.arange(1, 16)
errors = {
    "forward": [abs((f(1 + e) - f(1.0)) / e - true) / true for e in steps],
    "central": [abs((f(1 + e) - f(1 - e)) / (2 * e) - true) / true for e in steps],
    "complex": [max(abs(f(1 + 1j * e).imag / e - true) / true, 1e-17) for e in steps],
}
figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, values in errors.items():
    ax.loglog(steps, values, "o-", ms=4, label=name)
ax.set(xlabel="ε", ylabel="relative error")
ax.legend()
for name in ("forward", "central"):
    relative = "  ".join(f"1e-{k}: {errors[name][k - 1]:.0e}" for k in (2, 5, 8))
    print(f"{name}  {relative}")

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 전진 차분의 $\varepsilon$을 $10^{-8}$에서 $10^{-14}$로 줄이면 오차는 어떻게 됩니까?

```{choose} 3
백만분의 일로 줄어듭니다
: 절단 오차는 그렇게 줄지만, 반올림 오차는 $1/\varepsilon$에 비례해서 커집니다.

그대로입니다
: $10^{-8}$ 근처가 가장 좋은 값입니다. 거기서 멀어지면 어느 쪽으로든 오차가 커집니다.

커집니다
: $f(x + \varepsilon)$과 $f(x)$가 거의 모든 자리에서 같아서, 뺄셈 뒤에 유효숫자가 남지 않습니다.
```

(measuring-trap)=
## 3. 함정: 움직인 뒤에, 움직이기 전의 손실과 비교하기

강의의 `train_step`은 토큰을 하나씩 돌면서 (1) 그 토큰의 임베딩 32개를 전진 차분으로 재고, (2) **바로 움직이고**, (3) 다음 토큰으로 갑니다. 그런데
`loss_before`는 **맨 처음에 한 번만** 구합니다. 그래서 둘째 토큰부터는

$$\frac{L(\theta' + \varepsilon e_i) - L(\theta)}{\varepsilon} = \underbrace{\frac{L(\theta' + \varepsilon e_i) - L(\theta')}{\varepsilon}}_{\text{기울기}}
+ \underbrace{\frac{L(\theta') - L(\theta)}{\varepsilon}}_{\text{첫 토큰의 갱신으로 변한 손실}}$$

둘째 항은 $\approx -\alpha\|g\|^2/\varepsilon$이고, $\alpha = 0.001,\; \varepsilon = 10^{-5}$이면 $-100\|g\|^2$입니다. 이 수가 모든 성분에 **똑같이** 더해집니다. 계산해 봅시다.
cos는 정확한 기울기와의 코사인, ‖·‖ 비는 크기의 비입니다. 1이어야 합니다.
"""

# %% [markdown] lang="en"
r"""
**Think first.** What happens to the error of a forward difference if $\varepsilon$ goes from $10^{-8}$ to $10^{-14}$?

```{choose} 3
It becomes a million times smaller.
: The truncation error does, but the rounding error grows in proportion to $1/\varepsilon$.

It stays the same.
: The best value is near $10^{-8}$. Away from it, the error grows in both directions.

It grows.
: $f(x + \varepsilon)$ and $f(x)$ agree in almost all digits, so hardly any significant digits remain after the subtraction.
```

(measuring-trap)=
## 3. The trap: comparing with a loss from before the last update

The lesson's `train_step` loops over the tokens: it (1) differentiates by the 32 numbers of a token's embedding with forward differences, (2) **updates them immediately**, and (3) continues with the next token. But
`loss_before` was computed **once, at the start**. So from the second token on

$$\frac{L(\theta' + \varepsilon e_i) - L(\theta)}{\varepsilon} = \underbrace{\frac{L(\theta' + \varepsilon e_i) - L(\theta')}{\varepsilon}}_{\text{the gradient}}
+ \underbrace{\frac{L(\theta') - L(\theta)}{\varepsilon}}_{\text{change by the first update}}$$

The second term is $\approx -\alpha\|g\|^2/\varepsilon$: with $\alpha = 0.001$ and $\varepsilon = 10^{-5}$, $-100\|g\|^2$, and the same number is added to **every** component. We measure it: cos is the cosine with the exact gradient, ‖·‖ the ratio of
the norms. Both should be 1.
"""


# %%
def lesson_step(model, rate, eps=1e-5):
    """Do the lesson's train_step; return what it took for the gradient of each token."""
    before, gradients = L(), []
    for token in tokens:
        g = np.array([(loss_after_moving(token, j, eps) - before) / eps for j in range(32)])
        changed = model.embedding.data.copy()
        changed[token] -= rate * g
        model.embedding.data = changed
        gradients.append(g)
    return gradients


start = model.embedding.data
before = L()
print("token   cos      ‖·‖")
for token, g, true_g in zip(tokens, lesson_step(model, 0.001), exact, strict=True):
    cosine = g @ true_g / np.linalg.norm(g) / np.linalg.norm(true_g)
    print(f"{token:5}{cosine:8.3f}{np.linalg.norm(g) / np.linalg.norm(true_g):8.2f}")
print(f"ΔL = {L() - before:+.2e}")
model.embedding.data = start
after = model.train_step(tokens, targets, 0.001)[1]
print(f"ΔL = {after - before:+.2e}   (backprop, {n} parameters)")

# %% [markdown] lang="ko"
r"""
첫 토큰은 맞고, 나머지는 방향도 크기도 틀립니다. **그런데도 손실은 줄어듭니다.** 그래서 틀린 줄 알기 어렵습니다. 고치는 방법은 하나입니다. 모든 기울기를 먼저
구하고, 그다음에 한꺼번에 움직입니다. 역전파로 구하면 자연히 그렇게 됩니다. 그리고 이 코드는 임베딩만 학습시킵니다. 나머지 행렬들은 처음 그대로입니다.

## 들여다보기

역전파가 한 번에 구하는 것입니다. 손실에서 시작해 임베딩의 세 행까지 갑니다.

```{player} loss
```

## 직접 실행하기

```{run}
from math import exp, sin, cos

f = lambda x: exp(x) * sin(x)
true = exp(1) * (sin(1) + cos(1))
for k in range(1, 16):
    h = 10.0**-k
    forward = abs((f(1 + h) - f(1)) / h - true)
    central = abs((f(1 + h) - f(1 - h)) / (2 * h) - true)
    print(f"1e-{k:<2}  {forward:.1e}  {central:.1e}")
```

## 연습문제

**1. 값을 예측하세요.** 파라미터가 175 000 000 000개일 때 전진 차분 한 번에 필요한 순전파는 몇 번입니까? (1750억, 1.75e11처럼 쓸 수 있습니다.)

```{predict} 175 * 10**9

파라미터마다 한 번, 그리고 기준이 되는 손실에 한 번입니다.

약 1750억($1.75 \cdot 10^{11}$)번입니다.
```

**2. 값을 예측하세요.** 절단 오차가 $\varepsilon$에 비례할 때, $\varepsilon$을 $10^{-2}$에서 $10^{-4}$로 줄이면 오차는 몇 배가 됩니까?

```{predict} 1e-4 / 1e-2
:within: 0.0001

오차는 $\varepsilon$과 같은 비율로 줄어듭니다.

$10^{-4}/10^{-2} = 1/100$.
```

**3. 규칙을 쓰세요.** 위에서 오차를 잰 함수 $y = e^x \sin x$.

```{exercise} growing_wave
곱의 미분법: (eˣ)′ = eˣ, (sin x)′ = cos x.
```
"""

# %% [markdown] lang="en"
r"""
The first token is right; the others are wrong in direction and in length. **The loss decreases nevertheless**, so the mistake is hard to notice. The fix: compute all gradients first, then update everything at once, as
backpropagation does naturally. Also, this code trains only the embedding; all other matrices keep their initial values.

## Look into it

Backpropagation computes this in one pass, from the loss to the three rows of the embedding.

```{player} loss
```

## Run it yourself

```{run}
from math import exp, sin, cos

f = lambda x: exp(x) * sin(x)
true = exp(1) * (sin(1) + cos(1))
for k in range(1, 16):
    h = 10.0**-k
    forward = abs((f(1 + h) - f(1)) / h - true)
    central = abs((f(1 + h) - f(1 - h)) / (2 * h) - true)
    print(f"1e-{k:<2}  {forward:.1e}  {central:.1e}")
```

## Exercises

**1. Predict.** How many forward passes does one gradient by forward differences take for 175 000 000 000 parameters? (You may write 1.75e11.)

```{predict} 175 * 10**9

Once for each parameter, and once for the loss to compare with.

About 175 billion ($1.75 \cdot 10^{11}$).
```

**2. Predict.** If the truncation error is proportional to $\varepsilon$, by what factor does it change when $\varepsilon$ goes from $10^{-2}$ to $10^{-4}$?

```{predict} 1e-4 / 1e-2
:within: 0.0001

The error shrinks by the same factor as $\varepsilon$.

$10^{-4}/10^{-2} = 1/100$.
```

**3. Write the rule.** The function that was measured above, $y = e^x \sin x$.

```{exercise} growing_wave
The product rule: (eˣ)′ = eˣ and (sin x)′ = cos x.
```
"""
