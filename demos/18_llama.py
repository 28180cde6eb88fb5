# %% [markdown] lang="ko"
r"""
# 18강: Llama에서는 무엇이 달라지는가

2017년의 트랜스포머, GPT-3, Llama는 골격이 같습니다. 부품 세 개가 바뀌었습니다. 층 정규화는 **RMSNorm**으로, 위치 인코딩은 **RoPE**로, ReLU 피드포워드는 **SwiGLU**로
바뀌었습니다. 하나씩 공식을 쓰고, 기울기를 확인하고, 파라미터 수를 계산합니다.

(rmsnorm)=
## 1. RMSNorm: 평균을 빼지 않습니다

$$y_i = \gamma_i \frac{x_i}{r}, \qquad r = \sqrt{\frac1d\sum_k x_k^2 + \varepsilon}$$

미분: $\dfrac{\partial r}{\partial x_i} = \dfrac{1}{2r}\cdot\dfrac{2x_i}{d} = \dfrac{x_i}{d\,r}$, 몫의 미분법에 의해

$$\bar x_i = \sum_j \gamma_j\bar y_j\Bigl(\frac{[i = j]}{r} - \frac{x_j}{r^2}\cdot\frac{x_i}{d\,r}\Bigr) \qquad = \frac1r\Bigl(\gamma_i\bar y_i - \hat x_i \bigl\langle \gamma\bar y \odot \hat x \bigr\rangle\Bigr), \qquad \hat x = x/r .$$

층 정규화([10강](#layer-norm-derivation))에서 평균을 빼는 항 하나가 사라졌습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 18: what changes in Llama

The transformer of 2017, GPT-3 and Llama have the same structure. Three parts were changed: layer norm became **RMSNorm**, the positional encoding **RoPE**, the feed-forward ReLU **SwiGLU**. We write each formula, check its gradient,
and count parameters.

(rmsnorm)=
## 1. RMSNorm: no mean is subtracted

$$y_i = \gamma_i \frac{x_i}{r}, \qquad r = \sqrt{\frac1d\sum_k x_k^2 + \varepsilon}$$

Its derivative is $\dfrac{\partial r}{\partial x_i} = \dfrac{1}{2r}\cdot\dfrac{2x_i}{d} = \dfrac{x_i}{d\,r}$, and by the quotient rule

$$\bar x_i = \sum_j \gamma_j\bar y_j\Bigl(\frac{[i = j]}{r} - \frac{x_j}{r^2}\cdot\frac{x_i}{d\,r}\Bigr) \qquad = \frac1r\Bigl(\gamma_i\bar y_i - \hat x_i \bigl\langle \gamma\bar y \odot \hat x \bigr\rangle\Bigr), \qquad \hat x = x/r .$$

Compared with layer norm ([lesson 10](#layer-norm-derivation)), the term that removes the mean is gone.
"""

# %%
import numpy as np

from autolm import Tensor, check_gradient, layer_norm, ops, rms_norm, rope, swiglu

np.set_printoptions(precision=4, suppress=True)
x = Tensor([1.0, 2.0, 3.0, 6.0], name="x")
gain = Tensor([1.0, 1.0, 0.5, 2.0], name="γ")
upstream = np.array([1.0, 0.0, -1.0, 0.5])
y = rms_norm(x, gain, eps=1e-5)
y.backward(upstream)
r = np.sqrt((x.data**2).mean() + 1e-5)
g, normal = gain.data * upstream, x.data / r
print("RMSNorm  ", y.data)
print("LayerNorm", layer_norm(x, gain, np.zeros(4)).data)
print("rule     ", (g - normal * (g * normal).mean()) / r)
print("engine   ", x.grad)

# %% [markdown] lang="ko"
r"""
(rope)=
## 2. RoPE: 더하지 않고 회전시킵니다

사인 위치 인코딩은 임베딩에 **더합니다**. RoPE(rotary position embedding)는 쿼리와 키의 성분을 둘씩 묶어 위치에
비례하는 각만큼 **회전**시킵니다. 어느 둘을 묶는지는 정하기 나름인데, 여기서는 Llama의 구현처럼 $i$번째와 $i + d/2$번째를 묶습니다. $d = 4$이면 $(1, 3)$번째와 $(2, 4)$번째입니다(이웃한 둘을 묶는 구현도 있습니다).

$$R_p = \begin{pmatrix} \cos\omega p & -\sin\omega p \\ \sin\omega p & \cos\omega p \end{pmatrix}, \qquad
(R_p q)\cdot(R_s k) = q^{\mathsf T} R_p^{\mathsf T} R_s\, k = q^{\mathsf T} R_{s - p}\, k$$

$R_p^{\mathsf T} R_s = R_{s-p}$이므로($-p$만큼 되돌리고 $s$만큼 돌리기) 점수는 두 위치의 **거리**에만 달려 있습니다. 7강에서 위치끼리의 내적이 그랬던 것과 같지만, 이번에는 점수 자체가
그렇습니다. 파라미터도, 최대 길이도 없습니다.
"""

# %% [markdown] lang="en"
r"""
(rope)=
## 2. RoPE: rotate instead of adding

Sinusoidal positions are **added** to embeddings. RoPE (rotary position embedding) **rotates** pairs of components of queries and keys by an angle proportional to their position. Which two form a pair is a convention; here, as in Llama's code, components $i$ and $i + d/2$ do:
for $d = 4$, components $(1, 3)$ and $(2, 4)$. (Other implementations pair neighbours.)

$$R_p = \begin{pmatrix} \cos\omega p & -\sin\omega p \\ \sin\omega p & \cos\omega p \end{pmatrix}, \qquad
(R_p q)\cdot(R_s k) = q^{\mathsf T} R_p^{\mathsf T} R_s\, k = q^{\mathsf T} R_{s - p}\, k$$

Since $R_p^{\mathsf T} R_s = R_{s-p}$ (rotate back by $p$, then by $s$), a score depends only on the **distance** of two positions. In lesson 7 this held for the product of encodings; here it holds for the score itself. RoPE has no parameters and no maximum length.
"""

# %%
q, k = np.array([1.0, 0.5]), np.array([0.3, -1.0])
print("p   s   s − p   (R_p q)·(R_s k)")
for p, s in ((0, 2), (5, 7), (40, 42), (0, 3), (5, 8)):
    turned_q = rope(q[None], positions=[p]).data[0]
    turned_k = rope(k[None], positions=[s]).data[0]
    print(f"{p:<4}{s:<4}{s - p:<8}{turned_q @ turned_k:.6f}")

# %% [markdown] lang="ko"
r"""
회전의 역전파는 반대 방향의 회전입니다: $\bar q = R_p^{\mathsf T}\,\overline{R_p q} = R_{-p}\,\overline{R_p q}$. 크기가 변하지 않으므로 기울기도 커지거나 사라지지 않습니다.

(swiglu)=
## 3. SwiGLU: 게이트가 있는 피드포워드

$$\mathrm{FF}(x) = \bigl(\mathrm{silu}(x W_{\text{gate}}) \odot (x W_{\text{up}})\bigr) W_{\text{down}}, \qquad \mathrm{silu}(a) = a\,\sigma(a)$$

한 투영이 다른 투영을 얼마나 통과시킬지 정하는 **게이트**(gate)가 됩니다. $y = \mathrm{silu}(a)\,b$를 미분하면 곱의 미분법(20강)에 의해

$$\bar a = \bar y\, b\,\sigma\bigl(1 + a(1 - \sigma)\bigr), \qquad \bar b = \bar y\,\mathrm{silu}(a).$$

ReLU는 0보다 작으면 완전히 닫히지만, silu는 매끄럽고 꺾인 곳이 없습니다.
"""

# %% [markdown] lang="en"
r"""
The backward pass of a rotation is the opposite rotation: $\bar q = R_p^{\mathsf T}\,\overline{R_p q} = R_{-p}\,\overline{R_p q}$. Norms are preserved, so the gradient neither grows nor vanishes.

(swiglu)=
## 3. SwiGLU: a feed-forward with a gate

$$\mathrm{FF}(x) = \bigl(\mathrm{silu}(x W_{\text{gate}}) \odot (x W_{\text{up}})\bigr) W_{\text{down}}, \qquad \mathrm{silu}(a) = a\,\sigma(a)$$

One projection is a **gate** for the other: it decides how much of the other passes. For $y = \mathrm{silu}(a)\,b$, the product rule (lesson 20) gives

$$\bar a = \bar y\, b\,\sigma\bigl(1 + a(1 - \sigma)\bigr), \qquad \bar b = \bar y\,\mathrm{silu}(a).$$

ReLU is 0 for negative inputs; silu is smooth and has no kink.
"""

# %%
a, b = Tensor([-2.0, 0.0, 1.5], name="a"), Tensor([1.0, 2.0, -1.0], name="b")
swiglu(a, b).backward(np.ones(3))
gate = 1 / (1 + np.exp(-a.data))
print("∂/∂a rule  ", b.data * gate * (1 + a.data * (1 - gate)))
print("∂/∂a engine", a.grad)
print("∂/∂b rule  ", a.data * gate)
print("∂/∂b engine", b.grad)
for op, *operands in (
    (ops.rms_norm, np.array([1.0, -2.0, 0.5]), np.ones(3)),
    (ops.swiglu, np.array([-2.0, 0.5]), np.array([1.0, 3.0])),
):
    print(str(check_gradient(op, *operands)).partition(" to ")[0])

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** RoPE에서 쿼리와 키의 위치를 모두 10만큼 늘리면 점수는 어떻게 됩니까?

```{choose} 2
커집니다
: 회전은 벡터의 크기를 바꾸지 않습니다.

그대로입니다
: 점수는 두 위치의 차에만 달려 있고, 차는 그대로입니다.

부호가 바뀝니다
: 두 벡터가 같은 각만큼 함께 돌므로 사이의 각도 그대로입니다.
```

(llama-block)=
## 4. 블록 하나를 통째로

Llama의 블록을 텐서로 쓰면 여덟 줄입니다. 순서는 TinyLM의 pre-norm 블록과 같습니다. SwiGLU는 행렬이 셋이므로, 파라미터 수를 $8d^2$으로 맞추려고 폭을 $4d$ 대신 $\tfrac23 \cdot 4d = \tfrac83 d$로
합니다: $3 \cdot d \cdot \tfrac83 d = 8d^2$.
"""

# %% [markdown] lang="en"
r"""
**Think first.** With RoPE, what happens to a score if the positions of query and key both increase by 10?

```{choose} 2
It grows.
: Rotations do not change the length of a vector.

It stays the same.
: A score depends only on the difference of the positions, which does not change.

Its sign changes.
: Both vectors turn by the same angle, so the angle between them stays the same.
```

(llama-block)=
## 4. A whole block

A block of Llama takes eight lines with Tensors, in the same order as TinyLM's pre-norm block. SwiGLU has three matrices; to keep $8d^2$ parameters, its width is $\tfrac23 \cdot 4d = \tfrac83 d$ instead of $4d$: $3 \cdot d \cdot \tfrac83 d = 8d^2$.
"""

# %%
from autolm import attention

rng = np.random.default_rng(24)
T, d, H, d_ff = 5, 12, 2, 32


def matrix(rows, columns, name):
    return Tensor(rng.normal(size=(rows, columns)) / np.sqrt(rows), name=name)


W_Q, W_K, W_V, W_O = (matrix(d, d, f"W_{name}") for name in "QKVO")
W_gate, W_up, W_down = matrix(d, d_ff, "W_gate"), matrix(d, d_ff, "W_up"), matrix(d_ff, d, "W_down")
gain_1, gain_2 = Tensor(np.ones(d), name="γ₁"), Tensor(np.ones(d), name="γ₂")


def block(x):
    n = rms_norm(x, gain_1)
    q, k = rope(n @ W_Q, num_heads=H), rope(n @ W_K, num_heads=H)
    x = x + attention(q, k, n @ W_V, num_heads=H, causal=True) @ W_O
    n = rms_norm(x, gain_2)
    return x + swiglu(n @ W_gate, n @ W_up) @ W_down


x = Tensor(rng.normal(size=(T, d)), name="x")
loss = (block(x) ** 2).mean()
loss.name = "loss"
loss.backward()
parameters = (W_Q, W_K, W_V, W_O, W_gate, W_up, W_down, gain_1, gain_2)
print(f"loss = {loss.item():.4f}   {sum(p.data.size for p in parameters)} parameters")
print(f"12d² + 2d = {12 * d * d + 2 * d}")
for p in (W_Q, W_gate, gain_1):
    print(f"{p.name:8} ‖∂‖ = {np.linalg.norm(p.grad):.4f}")

# %% [markdown] lang="ko"
r"""
```{player} loss
```

| | 2017 트랜스포머 | GPT-3 | Llama 2 7B |
| --- | --- | --- | --- |
| 정규화 | 층 정규화, 뒤 | 층 정규화, 앞 | RMSNorm, 앞 |
| 위치 | 사인·코사인 | 학습 | RoPE |
| 피드포워드 | ReLU | GELU | SwiGLU |
| 층, 폭, 헤드 | 6, 512, 8 | 96, 12288, 96 | 32, 4096, 32 |

## 직접 실행하기

```{run}
from math import cos, sin

def turn(v, angle):
    return [v[0] * cos(angle) - v[1] * sin(angle), v[0] * sin(angle) + v[1] * cos(angle)]

q, k = [1.0, 0.5], [0.3, -1.0]
for p, s in ((0, 2), (5, 7), (40, 42), (0, 3), (5, 8)):
    a, b = turn(q, p), turn(k, s)
    print(p, s, s - p, round(a[0] * b[0] + a[1] * b[1], 6))
```

## 연습문제

**1. 값을 예측하세요.** $x = (3, 4)$의 RMS $\sqrt{(9 + 16)/2}$는?

```{predict} np.sqrt(12.5)

$(9 + 16)/2 = 12.5$입니다.

$\sqrt{12.5} \approx 3.54$.
```

**2. 규칙을 쓰세요.** 두 수의 RMSNorm의 첫째 $y = \dfrac{a}{\sqrt{(a^2 + b^2)/2 + 1}}$. (1은 큰 $\varepsilon$입니다.)

```{exercise} rms_of_two
r² = (a² + b²)/2 + 1이면 ∂r/∂a = a/(2r), ∂r/∂b = b/(2r).
```

**3. 규칙을 쓰세요.** SwiGLU의 $y = \mathrm{silu}(a)\,b$.

```{exercise} gated
silu′ = σ + aσ(1 − σ)입니다(20강).
```
"""

# %% [markdown] lang="en"
r"""
```{player} loss
```

| | transformer of 2017 | GPT-3 | Llama 2 7B |
| --- | --- | --- | --- |
| norm | layer norm, after | layer norm, before | RMSNorm, before |
| position | sine, cosine | learned | RoPE |
| feed-forward | ReLU | GELU | SwiGLU |
| layers, width, heads | 6, 512, 8 | 96, 12288, 96 | 32, 4096, 32 |

## Run it yourself

```{run}
from math import cos, sin

def turn(v, angle):
    return [v[0] * cos(angle) - v[1] * sin(angle), v[0] * sin(angle) + v[1] * cos(angle)]

q, k = [1.0, 0.5], [0.3, -1.0]
for p, s in ((0, 2), (5, 7), (40, 42), (0, 3), (5, 8)):
    a, b = turn(q, p), turn(k, s)
    print(p, s, s - p, round(a[0] * b[0] + a[1] * b[1], 6))
```

## Exercises

**1. Predict.** What is the RMS of $x = (3, 4)$, $\sqrt{(9 + 16)/2}$?

```{predict} np.sqrt(12.5)

$(9 + 16)/2 = 12.5$.

$\sqrt{12.5} \approx 3.54$.
```

**2. Write the rule.** The first of two numbers after RMSNorm, $y = \dfrac{a}{\sqrt{(a^2 + b^2)/2 + 1}}$. (The 1 is a large $\varepsilon$.)

```{exercise} rms_of_two
For r² = (a² + b²)/2 + 1, ∂r/∂a = a/(2r) and ∂r/∂b = b/(2r).
```

**3. Write the rule.** $y = \mathrm{silu}(a)\,b$, of SwiGLU.

```{exercise} gated
silu′ = σ + aσ(1 − σ), by lesson 20.
```
"""
