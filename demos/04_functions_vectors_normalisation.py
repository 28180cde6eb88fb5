# %% [markdown] lang="ko"
r"""
# 4강: 함수의 그래프, 벡터, 세 가지 정규화

이 과정에서 쓰는 함수들을 그래프로 그리고, 벡터의 크기와 각도를 재고, "**정규화**"라는 한 단어가 가리키는 서로 다른 세 가지를
구별합니다.

(curves)=
## 1. 함수와 그 도함수의 그래프

실선은 함수, 점선은 도함수입니다. 도함수의 그래프를 보면 기울기가 어디에서 사라지는지 알 수 있습니다.

| 함수 | 도함수 | 언어 모델에서 |
| --- | --- | --- |
| $e^x$ | $e^x$ | 소프트맥스: 점수를 양수로 |
| $\ln x$ | $1/x$ | 손실: $-\ln p$ |
| $\tanh x$ | $1 - \tanh^2 x$ | 2강의 뉴런 |
| $\sigma(x) = \frac{1}{1+e^{-x}}$ | $\sigma(1 - \sigma)$ | 게이트(gate) |
| $\mathrm{ReLU}(x) = \max(x, 0)$ | $x > 0$이면 $1$, $x < 0$이면 $0$ | 피드포워드 |
| $\mathrm{GELU}(x) = x\,\Phi(x)$ | $\Phi(x) + x\,\varphi(x)$ | GPT의 피드포워드 |

$\Phi$는 표준정규분포의 누적분포함수, $\varphi = \Phi'$은 확률밀도함수입니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 4: graphs of functions, vectors, three normalisations

We plot the functions that this course uses, measure lengths and angles of vectors, and distinguish three different things that are called
**normalisation**.

(curves)=
## 1. The graphs of functions and their derivatives

A solid line is a function, a dashed one its derivative. Where the dashed line is near 0, no gradient passes.

| function | derivative | in a language model |
| --- | --- | --- |
| $e^x$ | $e^x$ | softmax: makes scores positive |
| $\ln x$ | $1/x$ | the loss, $-\ln p$ |
| $\tanh x$ | $1 - \tanh^2 x$ | the neuron of lesson 2 |
| $\sigma(x) = \frac{1}{1+e^{-x}}$ | $\sigma(1 - \sigma)$ | a gate |
| $\mathrm{ReLU}(x) = \max(x, 0)$ | $1$ if $x > 0$, $0$ if $x < 0$ | feed-forward |
| $\mathrm{GELU}(x) = x\,\Phi(x)$ | $\Phi(x) + x\,\varphi(x)$ | feed-forward of GPT |

$\Phi$ is the cumulative distribution function of the standard normal distribution, and $\varphi = \Phi'$ its density.
"""

# %% en="six functions of one number, each with its derivative dashed" ko="함수 여섯 개의 그래프와, 점선으로 그린 도함수"
import matplotlib.pyplot as plt
import numpy as np

from autolm import Tensor, ops

functions = {
    "exp": (ops.exp, -3, 2),
    "ln": (ops.log, 0.05, 4),
    "tanh": (ops.tanh, -4, 4),
    "sigmoid": (ops.sigmoid, -6, 6),
    "relu": (ops.relu, -3, 3),
    "gelu": (ops.gelu, -3, 3),
}
figure, axes = plt.subplots(3, 2, figsize=(5, 6), layout="constrained")
for (name, (function, low, high)), ax in zip(functions.items(), axes.flat, strict=True):
    x = Tensor(np.linspace(low, high, 401))
    y = function(x)
    y.sum().backward()
    ax.plot(x.data, y.data, color="tab:blue")
    ax.plot(x.data, x.grad, "--", color="tab:orange")
    ax.axhline(0, color="0.8", lw=0.8)
    ax.set(title=name, ylim=(max(-3, y.data.min()) - 0.2, min(4, max(y.data.max(), 1.2)) + 0.2))
for name in ("tanh", "sigmoid", "relu", "gelu"):
    x = Tensor([-4.0, 0.0, 4.0])
    functions[name][0](x).sum().backward()
    print(f"{name:8} x = −4, 0, 4:  y′ = {x.grad.round(4)}")

# %% [markdown] lang="ko"
r"""
이 도함수들은 `backward()`가 구한 것입니다. 곡선의 각 점에서 기울기를 읽으면 됩니다.

**지수함수와 로그함수**는 서로 역함수입니다: $\ln e^x = x$. 지수는 합을 곱으로($e^{a+b} = e^a e^b$), 로그는 곱을 합으로($\ln ab = \ln a + \ln b$)
바꿉니다. 글의 확률은 단어 확률의 곱이므로, 로그를 취하면 단어별 손실의 합이 됩니다. 손실은 그 합을 단어의 수로 나눈 평균입니다(5강).

$\tanh$와 $\sigma$는 양쪽 끝에서 평평합니다. 기울기가 0에 가까워지는 이것을 **포화**(saturation)라고 합니다. ReLU의 기울기는 양수에서
언제나 1이라서 깊은 모델에서 기울기가 덜 사라집니다. 다만 입력이 모두 음수인 뉴런은 기울기가 0이라 더는 배우지 못합니다.

손실의 그래프도 그려 봅시다. 확률이 $p$였던 단어가 실제로 나왔을 때의 손실 $-\ln p$, 그리고 파라미터 하나에 대한 손실의 모양입니다.
"""

# %% [markdown] lang="en"
r"""
The derivatives were computed by `backward()`: one slope for each point of a curve.

**Exponential and logarithm** are inverse functions: $\ln e^x = x$. The exponential turns sums into products, $e^{a+b} = e^a e^b$, the logarithm products into sums,
$\ln ab = \ln a + \ln b$. The probability of a text is a product over its words, so its logarithm is a sum over words; the loss is that sum divided by the number of words (lesson 5).

$\tanh$ and $\sigma$ are flat at both ends: they **saturate**, and their gradient is near 0. The gradient of ReLU is 1 for all positive inputs, so it
vanishes less in a deep model. But a neuron whose inputs are all negative has gradient 0 and stops learning.

Finally the loss as a curve: $-\ln p$ for a word with probability $p$, and the loss as a function of one parameter.
"""

# %% en="left: the loss −ln p falls to 0 as p goes to 1; right: the loss as a function of one logit" ko="왼쪽: p가 1에 가까워지면 손실 −ln p가 0으로 내려갑니다. 오른쪽: 로짓 하나에 대한 손실"
p = np.linspace(0.01, 1, 200)
w = np.linspace(-4, 8, 200)
figure, (first_axes, second_axes) = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained")
first_axes.plot(p, -np.log(p))
first_axes.set(xlabel="p", ylabel="−ln p")
second_axes.plot(
    w, [ops.cross_entropy(Tensor([v, 1.0, 0.0]), targets=np.array(0)).item() for v in w]
)
second_axes.set(xlabel="z₁", ylabel="L(z₁)")
for probability in (1, 0.5, 0.1, 0.01):
    print(f"p = {probability:<5} −ln p = {-np.log(probability) + 0:.4f}")

# %% [markdown] lang="ko"
r"""
(unit-vectors)=
## 2. 벡터: 크기, 방향, 각도

벡터 $v$의 **크기**(norm, 노름)는 피타고라스의 정리에 의해 $\|v\| = \sqrt{v_1^2 + \dots + v_d^2} = \sqrt{v \cdot v}$입니다. 크기로 나누면
방향만 남은 **단위벡터**(unit vector)가 됩니다.

$$\hat v = \frac{v}{\|v\|}, \qquad \|\hat v\| = 1, \qquad \cos\theta = \frac{a \cdot b}{\|a\|\,\|b\|} = \hat a \cdot \hat b$$

코사인은 크기와 관계없이 방향만 비교하는 **유사도**입니다. 1이면 같은 방향, 0이면 수직, −1이면 반대입니다. 어텐션의 점수 $q \cdot k$에는
여기에 두 크기가 곱해져 있습니다.
"""

# %% [markdown] lang="en"
r"""
(unit-vectors)=
## 2. Vectors: length, direction, angle

The **norm** (length) of a vector is, by Pythagoras, $\|v\| = \sqrt{v_1^2 + \dots + v_d^2} = \sqrt{v \cdot v}$. Dividing a vector by its norm leaves only its
direction: a **unit vector**.

$$\hat v = \frac{v}{\|v\|}, \qquad \|\hat v\| = 1, \qquad \cos\theta = \frac{a \cdot b}{\|a\|\,\|b\|} = \hat a \cdot \hat b$$

The cosine compares directions and ignores lengths: 1 is the same direction, 0 a right angle, −1 the opposite. An attention score
$q \cdot k$ also contains the two lengths.
"""

# %%
a, b, c = np.array([3.0, 4.0]), np.array([6.0, 8.0]), np.array([-4.0, 3.0])
print(f"‖a‖ = {np.linalg.norm(a):g}   a/‖a‖ = {a / np.linalg.norm(a)}")
for name, v in (("b", b), ("c", c), ("−a", -a)):
    cosine = a @ v / np.linalg.norm(a) / np.linalg.norm(v)
    print(
        f"a · {name:2} = {a @ v:5g}   cos = {cosine:4.1f}   θ = {np.degrees(np.arccos(cosine)):5.1f}°"
    )

# %% en="b drawn from the origin, and its shadow on the line of a, for an acute, a right and an obtuse angle" ko="원점에서 그린 b와, a의 직선에 내린 b의 정사영: 예각, 직각, 둔각"
figure, axes = plt.subplots(1, 3, figsize=(5, 1.9), layout="constrained")
for ax, degrees in zip(axes, (40, 90, 130), strict=True):
    a_hat = np.array([1.0, 0.0])
    v = 0.9 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    shadow = (v @ a_hat) * a_hat
    ax.annotate("", a_hat, (0, 0), arrowprops={"arrowstyle": "->", "color": "tab:blue", "lw": 2})
    ax.annotate("", v, (0, 0), arrowprops={"arrowstyle": "->", "color": "tab:orange", "lw": 2})
    ax.plot(*np.array([v, shadow]).T, "k:", lw=1)
    ax.plot(*np.array([0 * v, shadow]).T, color="tab:green", lw=4, alpha=0.6)
    ax.set(
        title=f"â · b = {v @ a_hat:.2f}", xlim=(-0.8, 1.1), ylim=(-0.15, 1), xticks=[], yticks=[]
    )
    ax.set_aspect("equal")

# %% [markdown] lang="ko"
r"""
그림에서 파란 화살표는 단위벡터 $\hat a$, 주황 화살표는 $b$, 초록 선분은 $b$를 $a$의 직선에 내린 **정사영**입니다. 내적 $\hat a \cdot b$는 부호가 있는 이 정사영의 길이이고, 각이 90°보다 크면 음수입니다. 내적이 크다는 것은 $b$가
$a$ 쪽으로 길게 뻗어 있다는 뜻입니다.

(sqrt-dk)=
## 3. 왜 $\sqrt{d_k}$로 나누는가

$q$와 $k$의 성분이 서로 독립이고 평균 0, 분산(variance) 1이라고 합시다. 곱 $q_i k_i$의 평균은 $E[q_i]E[k_i] = 0$이고, 분산은

$$\operatorname{Var}(q_i k_i) = E[q_i^2 k_i^2] - 0 = E[q_i^2]\,E[k_i^2] = 1 .$$

서로 독립인 확률변수의 합의 분산은 분산의 합이므로

$$\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d_k} \operatorname{Var}(q_i k_i) = d_k
\qquad\Rightarrow\qquad \operatorname{Var}\!\left(\frac{q \cdot k}{\sqrt{d_k}}\right) = 1 .$$

나누지 않으면 점수의 **표준편차**(standard deviation)가 $\sqrt{d_k}$가 되어 소프트맥스가 거의 한 단어만 고르고, 그러면 $w(1-w) \approx 0$이라 기울기가
사라집니다. 계산해 봅시다. 마지막 두 열은 10단어의 소프트맥스에서 가장 큰 가중치의 평균입니다.
"""

# %% [markdown] lang="en"
r"""
The blue arrow is the unit vector $\hat a$, the orange one $b$, and the green segment is the **projection** of $b$ onto the line of $a$. The dot product $\hat a \cdot b$ is the signed length of that projection, negative for angles above 90°. A large
dot product means that $b$ reaches far in the direction of $a$.

(sqrt-dk)=
## 3. Why divide by $\sqrt{d_k}$?

Suppose the components of $q$ and $k$ are independent, with mean 0 and variance 1. The mean of a product $q_i k_i$ is $E[q_i]E[k_i] = 0$, and its variance

$$\operatorname{Var}(q_i k_i) = E[q_i^2 k_i^2] - 0 = E[q_i^2]\,E[k_i^2] = 1 .$$

The variance of a sum of independent random variables is the sum of their variances, so

$$\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d_k} \operatorname{Var}(q_i k_i) = d_k
\qquad\Rightarrow\qquad \operatorname{Var}\!\left(\frac{q \cdot k}{\sqrt{d_k}}\right) = 1 .$$

Without the division, scores have a standard deviation of $\sqrt{d_k}$. Then softmax picks almost a single word, $w(1-w) \approx 0$, and the gradient
vanishes. We measure it. The last two columns are the mean of the largest of ten softmax weights.
"""

# %%
rng = np.random.default_rng(0)
print("  d_k   std q·k   √d_k   std q·k/√d_k   max w    max w (÷√d_k)")
for d in (4, 16, 64, 256):
    q, k = rng.normal(size=(2000, 1, d)), rng.normal(size=(2000, 10, d))
    scores = (q * k).sum(-1)
    largest = [Tensor(s).softmax().data.max(-1).mean() for s in (scores, scores / np.sqrt(d))]
    print(
        f"{d:5}{scores.std():10.2f}{np.sqrt(d):7.0f}{(scores / np.sqrt(d)).std():15.2f}"
        f"{largest[0]:8.2f}{largest[1]:18.2f}"
    )

# %% en="histograms of dot products: wide for d_k of 256, of the same width for all d_k after division" ko="내적의 히스토그램: d_k가 256이면 넓게 퍼지고, √d_k로 나누면 폭이 모두 같습니다"
figure, (first_axes, second_axes) = plt.subplots(
    1, 2, figsize=(5, 2.2), layout="constrained", sharey=True
)
for d in (4, 64, 256):
    q, k = rng.normal(size=(2, 20000, d))
    products = (q * k).sum(1)
    first_axes.hist(
        products, bins=np.linspace(-50, 50, 101), density=True, histtype="step", label=f"{d}"
    )
    second_axes.hist(
        products / np.sqrt(d), bins=np.linspace(-5, 5, 101), density=True, histtype="step"
    )
first_axes.set(title="q · k", ylim=(0, 0.5))
second_axes.set(title="q · k / √d_k")
first_axes.legend(title="d_k")

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** $\sqrt{d_k}$ 대신 $d_k$로 나누면 $d_k = 256$일 때 어떻게 됩니까?

```{choose} 2
소프트맥스가 거의 한 단어만 고릅니다
: 반대입니다. 점수가 클 때 한 단어에 몰리는데, 여기서는 점수가 너무 작아집니다.

점수의 표준편차가 $1/16$이 되어 모든 단어의 가중치가 거의 같아집니다
: 표준편차는 $\sqrt{256}/256 = 1/16$입니다. 점수가 모두 0에 가까우면 소프트맥스는 거의 고른 분포입니다.

아무 차이도 없습니다
: 학습이 $W_Q$를 키워서 보충할 수는 있지만, 처음에는 어텐션이 단어를 구별하지 못합니다.
```

(three-normalisations)=
## 4. 세 가지 정규화

| 이름 | 공식 | 무엇을 1로 만드는가 | 어디에 |
| --- | --- | --- | --- |
| 스케일링 | $q \cdot k / \sqrt{d_k}$ | 점수의 분산(대략) | 어텐션 |
| 단위벡터 | $v / \lVert v \rVert$ | 크기 | 코사인 유사도 |
| 층 정규화 | $(x - \mu) / \sigma$ | 분산(그리고 평균을 0으로) | 블록마다 |

층 정규화한 벡터의 크기는 언제나 $\sqrt d$입니다. $\sum \hat x_i^2 = d \cdot 1$이기 때문입니다. 같은 벡터에 셋을 해 봅시다.
"""

# %% [markdown] lang="en"
r"""
**Think first.** If we divide by $d_k$ instead of $\sqrt{d_k}$, what happens for $d_k = 256$?

```{choose} 2
Softmax picks almost a single word.
: It is the other way round: large scores concentrate on one word, and here the scores become too small.

Scores have a standard deviation of $1/16$, and all words get nearly equal weights.
: The standard deviation is $\sqrt{256}/256 = 1/16$. If all scores are near 0, softmax is nearly uniform.

Nothing changes.
: Training can compensate with a larger $W_Q$, but at first attention cannot distinguish the words.
```

(three-normalisations)=
## 4. Three normalisations

| name | formula | what becomes 1 | where |
| --- | --- | --- | --- |
| scaling | $q \cdot k / \sqrt{d_k}$ | the variance of scores, about | attention |
| unit vector | $v / \lVert v \rVert$ | the length | cosine similarity |
| layer norm | $(x - \mu) / \sigma$ | the variance (and the mean 0) | in each block |

A vector after layer norm has norm $\sqrt d$, because $\sum \hat x_i^2 = d \cdot 1$. All three applied to one vector:
"""

# %%
v = np.array([1.0, 2.0, 3.0, 6.0])
normal = (v - v.mean()) / v.std()
print(f"v/√d     {v / 2}")
print(
    f"v/‖v‖    {(v / np.linalg.norm(v)).round(4)}   ‖·‖ = {np.linalg.norm(v / np.linalg.norm(v)):g}"
)
print(f"(v−μ)/σ  {normal.round(4)}   ‖·‖ = {np.linalg.norm(normal):g} = √4")

# %% [markdown] lang="ko"
r"""
## 들여다보기

두 벡터의 코사인을 $a$에 대해 미분합니다. $a$의 **방향**만 중요하므로 기울기는 $a$와 수직입니다: 마지막 행렬에서 $a \cdot \bar a = 0$을 확인하세요.
"""

# %% [markdown] lang="en"
r"""
## Look into it

The cosine of two vectors, differentiated by $a$. Only the **direction** of $a$ counts, so the gradient is orthogonal to $a$: check $a \cdot \bar a = 0$ in the
last matrix.
"""

# %%
u, w = Tensor([3.0, 4.0], name="a"), Tensor([1.0, 0.0], name="b")
cosine = (u @ w) / ((u * u).sum().sqrt() * (w * w).sum().sqrt())

# %% [markdown] lang="ko"
r"""
```{player} cosine
9: 코사인
18: 거꾸로: a · a
19: 거꾸로: a @ b
```

## 직접 실행하기

```{run}
from autolm import Value

for x in (-4.0, -1.0, 0.0, 1.0, 4.0):
    row = []
    for f in (Value.tanh, Value.sigmoid, Value.relu):
        v = Value(x)
        y = f(v)
        y.backward()
        row.append((round(y.data, 4), round(v.grad, 4)))
    print(x, row)
```

## 연습문제

**1. 값을 예측하세요.** $a = (1, 2, 2)$의 크기는?

```{predict} np.linalg.norm([1, 2, 2])
:within: 0

$\|a\| = \sqrt{a_1^2 + a_2^2 + a_3^2}$입니다.

$\sqrt{1 + 4 + 4} = 3$.
```

**2. 값을 예측하세요.** $d_k = 100$이면 $q \cdot k$의 표준편차는 얼마쯤입니까?

```{predict} np.sqrt(100)

분산은 $d_k$입니다.

표준편차는 분산의 제곱근 $\sqrt{100} = 10$입니다.
```

**3. 규칙을 쓰세요.** 종 모양의 함수 $y = e^{-a^2/2}$. (표준정규분포의 확률밀도함수에서 상수 인수 $1/\sqrt{2\pi}$를 생략한 것입니다.)

```{exercise} bell
합성함수의 미분법: 바깥은 eˣ, 안은 −a²/2.
```

**4. 규칙을 쓰세요.** 2차원 단위벡터의 첫 성분 $y = \dfrac{a}{\sqrt{a^2 + b^2}}$.

```{exercise} unit_vector
r = √(a² + b²)라 하면 ∂r/∂a = a/r, ∂r/∂b = b/r.
몫의 미분법을 쓰고 a² + b² = r²로 간단히 하세요.
```
"""

# %% [markdown] lang="en"
r"""
```{player} cosine
9: the cosine
18: back: a · a
19: back: a @ b
```

## Run it yourself

```{run}
from autolm import Value

for x in (-4.0, -1.0, 0.0, 1.0, 4.0):
    row = []
    for f in (Value.tanh, Value.sigmoid, Value.relu):
        v = Value(x)
        y = f(v)
        y.backward()
        row.append((round(y.data, 4), round(v.grad, 4)))
    print(x, row)
```

## Exercises

**1. Predict.** What is the length of $a = (1, 2, 2)$?

```{predict} np.linalg.norm([1, 2, 2])
:within: 0

$\|a\| = \sqrt{a_1^2 + a_2^2 + a_3^2}$.

$\sqrt{1 + 4 + 4} = 3$.
```

**2. Predict.** With $d_k = 100$, about what is the standard deviation of $q \cdot k$?

```{predict} np.sqrt(100)

The variance is $d_k$.

The standard deviation is its square root, $\sqrt{100} = 10$.
```

**3. Write the rule.** The bell $y = e^{-a^2/2}$: the density of the standard normal distribution without its constant factor $1/\sqrt{2\pi}$.

```{exercise} bell
The chain rule: outside eˣ, inside −a²/2.
```

**4. Write the rule.** The first component of a unit vector in the plane, $y = \dfrac{a}{\sqrt{a^2 + b^2}}$.

```{exercise} unit_vector
With r = √(a² + b²), ∂r/∂a = a/r and ∂r/∂b = b/r.
Use the quotient rule, and simplify with a² + b² = r².
```
"""
