# %% [markdown] lang="ko"
r"""
# 7강: 위치 인코딩, 사인과 코사인으로 만든 시계

마스크가 없는 어텐션은 단어의 순서를 구별하지 못합니다. 키와 밸류의 순서를 함께 섞어도 출력이 같습니다. 그래서 임베딩에 **위치 인코딩**(positional encoding)을 더합니다.

(positional-formula)=
## 1. 공식

위치 $pos$, 차원의 쌍 $(2i, 2i+1)$에 대해

$$PE_{(pos,\,2i)} = \sin\!\left(\frac{pos}{10000^{2i/d}}\right), \qquad
PE_{(pos,\,2i+1)} = \cos\!\left(\frac{pos}{10000^{2i/d}}\right)$$

각 쌍은 시곗바늘 하나입니다. $\omega_i = 10000^{-2i/d}$라 하면 위치가 1 늘 때마다 바늘은 $\omega_i$ 라디안씩 돕니다. 첫 쌍은 빠르고
($\omega_0 = 1$, 한 바퀴에 $2\pi \approx 6.3$칸), 뒤로 갈수록 느립니다. 초침, 분침, 시침이 함께 시각을 나타내는 것과 같습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 7: positional encoding, clocks made of sines and cosines

Attention without a mask does not know the order of words: if keys and values are shuffled together, its output is the same. Therefore a **positional encoding** is added to the embeddings.

(positional-formula)=
## 1. The formula

At position $pos$, in the pair of dimensions $(2i, 2i+1)$,

$$PE_{(pos,\,2i)} = \sin\!\left(\frac{pos}{10000^{2i/d}}\right), \qquad
PE_{(pos,\,2i+1)} = \cos\!\left(\frac{pos}{10000^{2i/d}}\right)$$

Each pair is the hand of a clock. With $\omega_i = 10000^{-2i/d}$, the hand turns by $\omega_i$ radians per position. The first is fast ($\omega_0 = 1$: one turn in $2\pi \approx 6.3$ positions), the later ones
are slower: a second hand, a minute hand and an hour hand together tell the time.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from autolm import Tensor, attention
from autolm.nn import sinusoidal_positions

d = 8
i = np.arange(d // 2)
omega = 10000.0 ** (-2 * i / d)
pos = np.arange(5)[:, None]
PE = np.empty((5, d))
PE[:, 0::2], PE[:, 1::2] = np.sin(pos * omega), np.cos(pos * omega)
for place, row in enumerate(PE):
    print(place, " ".join(f"{number:7.4f}" for number in row))
print("ω  ", omega.round(4), "  2π/ω", (2 * np.pi / omega).round(1))
print("sinusoidal_positions(5, 8):", np.allclose(sinusoidal_positions(5, d), PE, atol=1e-15))

# %% [markdown] lang="ko"
r"""
아래 그림은 위치 0–99, 차원 0–63의 값입니다. 왼쪽 차원은 빠르게, 오른쪽은 천천히 변합니다.
"""

# %% [markdown] lang="en"
r"""
Below, positions 0–99 and dimensions 0–63: the left ones change fast, the right ones slowly.
"""

# %% en="the encoding of 100 positions: columns oscillate fast on the left, slowly on the right" ko="위치 100개의 인코딩: 왼쪽 열은 빠르게, 오른쪽 열은 천천히 진동합니다"
figure, ax = plt.subplots(figsize=(5, 2.6), layout="constrained")
ax.imshow(sinusoidal_positions(100, 64), aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
ax.set(xlabel="2i, 2i + 1", ylabel="pos")
figure.colorbar(ax.images[0])

# %% [markdown] lang="ko"
r"""
(attention-without-order)=
## 2. 위치 인코딩이 없으면 순서를 구별하지 못합니다

마스크 없는 어텐션에서 키와 밸류의 행을 함께 섞어도 출력은 같습니다. 가중합은 더하는 순서와 관계가 없기 때문입니다.
"""

# %% [markdown] lang="en"
r"""
(attention-without-order)=
## 2. Without positions, attention does not know the order

If the rows of keys and values are shuffled together, the output without a mask stays the same: a weighted sum does not depend on the order of its terms.
"""

# %%
rng = np.random.default_rng(1)
q, k, v = rng.normal(size=(3, 6, 4))
order = rng.permutation(6)
plain, shuffled = attention(q, k, v).data, attention(q, k[order], v[order]).data
print(f"order = {order}   max |Δ| < 1e-12: {abs(plain - shuffled).max() < 1e-12}")

# %% [markdown] lang="ko"
r"""
(why-sines)=
## 3. 왜 사인과 코사인인가

**$k$칸 이동은 회전입니다.** 삼각함수의 덧셈정리에 의해

$$\begin{aligned}&\begin{pmatrix} \sin\omega(p + k) \\ \cos\omega(p + k) \end{pmatrix} \\
&= \begin{pmatrix} \cos\omega k & \sin\omega k \\ -\sin\omega k & \cos\omega k \end{pmatrix}
\begin{pmatrix} \sin\omega p \\ \cos\omega p \end{pmatrix}\end{aligned}$$

행렬에는 $p$가 없고 $k$만 있습니다. "세 칸 뒤"는 어디에서나 같은 선형변환이고, 어텐션의 행렬은 그것을 배울 수 있습니다.

**두 위치의 내적은 거리에만 의존합니다.** $\cos(\alpha - \beta) = \cos\alpha\cos\beta + \sin\alpha\sin\beta$에서

$$\begin{aligned}PE_p \cdot PE_q &= \sum_i \bigl(\sin\omega_i p \sin\omega_i q \\
&\qquad\; + \cos\omega_i p \cos\omega_i q\bigr) \\
&= \sum_i \cos\omega_i (p - q).\end{aligned}$$

그래서 크기는 언제나 $\sqrt{d/2}$이고, 가까운 위치끼리 내적이 더 큽니다. 계산해 봅시다.
"""

# %% [markdown] lang="en"
r"""
(why-sines)=
## 3. Why sines and cosines?

**A shift is a rotation.** By the addition theorems

$$\begin{aligned}&\begin{pmatrix} \sin\omega(p + k) \\ \cos\omega(p + k) \end{pmatrix} \\
&= \begin{pmatrix} \cos\omega k & \sin\omega k \\ -\sin\omega k & \cos\omega k \end{pmatrix}
\begin{pmatrix} \sin\omega p \\ \cos\omega p \end{pmatrix}\end{aligned}$$

The matrix contains $k$ but not $p$: "three positions later" is the same linear map everywhere, and the matrices of attention can learn it.

**The dot product of two positions depends only on their distance.** By $\cos(\alpha - \beta) = \cos\alpha\cos\beta + \sin\alpha\sin\beta$

$$\begin{aligned}PE_p \cdot PE_q &= \sum_i \bigl(\sin\omega_i p \sin\omega_i q \\
&\qquad\; + \cos\omega_i p \cos\omega_i q\bigr) \\
&= \sum_i \cos\omega_i (p - q).\end{aligned}$$

So the norm is always $\sqrt{d/2}$, and close positions have larger dot products. We compute some of them:
"""

# %%
P = sinusoidal_positions(100, 64)
print("k      0      1      2      5      10     20")
for p in (0, 10, 50):
    products = [P[p] @ P[p + k] for k in (0, 1, 2, 5, 10, 20)]
    print(f"p={p:<3}" + "".join(f"{number:7.2f}" for number in products))
w, k = omega[1], 3
turn = np.array([[np.cos(w * k), np.sin(w * k)], [-np.sin(w * k), np.cos(w * k)]])
print("\nPE[1 + 3] =", PE[4, 2:4].round(4), "  R₃ PE[1] =", (turn @ PE[1, 2:4]).round(4))

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 위치 3과 8의 인코딩의 내적과 언제나 같은 것은 무엇입니까?

```{choose} 2
위치 6과 16의 내적
: 두 위치를 두 배로 하면 거리가 5에서 10으로 바뀝니다.

위치 40과 45의 내적
: 내적은 거리에만 의존합니다. 두 쌍의 거리는 모두 5입니다.

위치 0과 11의 내적
: 합이 같아도 소용없습니다. 식에는 $p + q$가 아니라 $p - q$가 있습니다.
```

## 들여다보기

위치 다섯의 인코딩과, 서로의 내적 행렬입니다. 대각선을 따라 같은 수가 놓입니다. 내적이 거리에만 의존하기 때문입니다.
"""

# %% [markdown] lang="en"
r"""
**Think first.** Which dot product always equals the one of positions 3 and 8?

```{choose} 2
that of positions 6 and 16
: Doubling both positions changes the distance from 5 to 10.

that of positions 40 and 45
: The dot product depends only on the distance, which is 5 for both pairs.

that of positions 0 and 11
: An equal sum does not help: the formula contains $p - q$, not $p + q$.
```

## Look into it

The encodings of five positions, and the matrix of their products: each diagonal holds one number, because the dot product depends only on the distance.
"""

# %%
places = Tensor(PE, name="PE")
products = places @ places.T
products.name = "PE·PE"
alike = products.sum()

# %% [markdown] lang="ko"
r"""
```{player} alike
```

## 직접 실행하기

```{run}
from math import cos, sin

d, base = 8, 10000
def PE(pos):
    angles = [pos / base ** (2 * i / d) for i in range(d // 2)]
    return [f(a) for a in angles for f in (sin, cos)]

for pos in range(5):
    print(pos, [round(x, 3) for x in PE(pos)])
dot = lambda a, b: sum(x * y for x, y in zip(a, b))
print([round(dot(PE(10), PE(10 + k)), 3) for k in range(6)])
```

## 연습문제

**1. 값을 예측하세요.** 위치 1, 차원 0의 값 $\sin(1)$은? (계산기를 쓰세요. 라디안입니다.)

```{predict} np.sin(1)

계산기를 라디안으로 바꾸세요. $1$라디안은 약 $57°$입니다.

$\sin 1 \approx 0.84$.
```

**2. 값을 예측하세요.** $d = 64$이면 $PE_p \cdot PE_p$는?

```{predict} P[7] @ P[7]

$\sin^2 + \cos^2 = 1$인 쌍이 몇 개입니까?

쌍이 $64/2 = 32$개이므로 $32$입니다.
```

**3. 규칙을 쓰세요.** 바늘 하나, $y = \sin(\omega p)$를 두 변수로 미분하세요.

```{exercise} clock_hand
(sin u)′ = cos u · u′이고 u = ωp입니다.
```

**4. 그려서 설명하세요.** $10000$ 대신 $2$를 쓰면 어떤 문제가 생깁니까?

```{answer}
바늘이 모두 빨라서 멀지 않은 두 위치의 값이 거의 같아집니다. 가장 느린 바늘의 주기가 글의 길이보다 길어야 먼 위치끼리 구별됩니다.
$10000$이면 주기가 $2\pi$에서 거의 $2\pi \cdot 10000 \approx 63\,000$칸까지입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} alike
```

## Run it yourself

```{run}
from math import cos, sin

d, base = 8, 10000
def PE(pos):
    angles = [pos / base ** (2 * i / d) for i in range(d // 2)]
    return [f(a) for a in angles for f in (sin, cos)]

for pos in range(5):
    print(pos, [round(x, 3) for x in PE(pos)])
dot = lambda a, b: sum(x * y for x, y in zip(a, b))
print([round(dot(PE(10), PE(10 + k)), 3) for k in range(6)])
```

## Exercises

**1. Predict.** The value at position 1, dimension 0, is $\sin(1)$. How large is it? (Use a calculator in radians.)

```{predict} np.sin(1)

Set your calculator to radians: 1 radian is about $57°$.

$\sin 1 \approx 0.84$.
```

**2. Predict.** With $d = 64$, what is $PE_p \cdot PE_p$?

```{predict} P[7] @ P[7]

How many pairs with $\sin^2 + \cos^2 = 1$ are there?

There are $64/2 = 32$ pairs, so it is $32$.
```

**3. Write the rule.** Differentiate one clock hand, $y = \sin(\omega p)$, with respect to both variables.

```{exercise} clock_hand
(sin u)′ = cos u · u′, and u = ωp.
```

**4. Draw and explain.** What goes wrong if we use $2$ instead of $10000$?

```{answer}
All hands are fast, so positions that are not far apart have nearly equal encodings. To distinguish distant positions, the slowest hand must take longer for one turn than the length of the text;
with $10000$, one turn takes from $2\pi$ to nearly $2\pi \cdot 10000 \approx 63\,000$ positions.
```
"""
