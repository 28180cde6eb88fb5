# %% [markdown] lang="ko"
r"""
# 8강: 멀티헤드 어텐션, 숫자를 모두 보면서

헤드가 하나면 단어마다 가중치의 분포가 하나뿐이라, 서로 다른 관계를 따로 볼 수 없습니다. **멀티헤드**(multi-head) 어텐션은 폭을 나누어 여러 어텐션을 동시에 계산합니다. 여기서는
폭 4를 헤드 둘이 2씩 나눕니다. 나누고, 헤드마다 어텐션을 계산하고, 다시 이어 붙이는 모든 단계를 숫자로 봅니다.

$$\mathrm{head}_h = \mathrm{softmax}\!\left(\frac{Q_h K_h^{\mathsf T}}{\sqrt{d_k}}\right) V_h, \qquad
\mathrm{MultiHead} = [\mathrm{head}_1; \dots; \mathrm{head}_H]\, W_O, \qquad d_k = d_{\text{model}} / H$$

이 과정의 바탕이 된 강의의 코드에는 `num_heads`가 있지만 쓰이지 않습니다. 그리고 $\sqrt{d_k}$ 대신 $\sqrt{d_{\text{model}}}$로 나눕니다. 헤드가 하나면 $d_k = d_{\text{model}}$이라 두 값이 같고, 여럿이면 다릅니다.

(split-heads)=
## 1. 헤드로 나누기

$Q, K, V$를 한 번에 계산한 다음, 그 열을 헤드들이 나누어 가집니다. 헤드마다 어텐션을 따로 계산하므로, 한 단어가 여러 단어에 서로 다른 까닭으로 주목할 수 있습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 8: multi-head attention, with every number

With one head, each word has a single distribution of weights. **Multi-head** attention splits the width and computes several attentions at once: here a width of 4 in two
heads of 2. We show splitting, the attention of each head, and joining, with all numbers.

$$\mathrm{head}_h = \mathrm{softmax}\!\left(\frac{Q_h K_h^{\mathsf T}}{\sqrt{d_k}}\right) V_h, \qquad
\mathrm{MultiHead} = [\mathrm{head}_1; \dots; \mathrm{head}_H]\, W_O, \qquad d_k = d_{\text{model}} / H$$

The code of the published lesson has a parameter `num_heads` but ignores it, and divides by $\sqrt{d_{\text{model}}}$ instead of $\sqrt{d_k}$. With one head these are equal; with more
heads they are not.

(split-heads)=
## 1. Split into heads

$Q$, $K$ and $V$ are computed once, and their columns are shared out among the heads. Each head computes its own attention, so one word can attend to several words for different reasons.
"""

# %%
import math

import numpy as np

from autolm import Tensor, attention, concatenate
from autolm.walking.tokens import Tokens

WORDS = ["the", "cat", "sat"]
T, d_model, H = 3, 4, 2
d_k = d_model // H


def table(title, rows, columns):
    print(f"{title:9}" + "".join(f"{column:>8}" for column in columns))
    for word, row in zip(WORDS, rows, strict=True):
        print(f"{word:9}" + "".join(f"{number:8.3f}" for number in row))


rng = np.random.default_rng(18)
x = Tensor(rng.normal(size=(T, d_model)).round(1), name="x")
W_Q, W_K, W_V, W_O = (
    Tensor(rng.normal(size=(d_model, d_model)).round(1), name=f"W_{name}") for name in "QKVO"
)
Q, K, V = x @ W_Q, x @ W_K, x @ W_V
table("x", x.data, "1234")
table("Q", Q.data, ("h1 1", "h1 2", "h2 1", "h2 2"))
table("K", K.data, ("h1 1", "h1 2", "h2 1", "h2 2"))
table("V", V.data, ("h1 1", "h1 2", "h2 1", "h2 2"))

# %% [markdown] lang="ko"
r"""
헤드 1은 앞의 두 열(h1), 헤드 2는 뒤의 두 열(h2)을 가집니다. 파라미터는 늘지 않습니다. $W_Q$는 여전히 $4 \times 4$입니다.

(each-head)=
## 2. 헤드마다 어텐션 계산하기

각 헤드는 자기 열만으로 6강의 어텐션을 계산합니다.
"""

# %% [markdown] lang="en"
r"""
Head 1 has the first two columns (h1), head 2 the last two (h2). The number of parameters is unchanged: $W_Q$ is still $4 \times 4$.

(each-head)=
## 2. The attention of each head

Each head computes the attention of lesson 6 from its own columns.
"""

# %%
ahead = np.triu(np.ones((T, T), dtype=bool), 1)
heads = []
for h in range(H):
    part = slice(h * d_k, (h + 1) * d_k)
    q, k, v = Q[:, part], K[:, part], V[:, part]
    weights = (q @ k.T / math.sqrt(d_k)).masked_fill(ahead, -np.inf).softmax()
    heads.append(weights @ v)
    table(f"weights{h + 1}", weights.data, WORDS)
    table(f"head{h + 1}", heads[-1].data, "12")

# %% [markdown] lang="ko"
r"""
두 헤드의 가중치가 다릅니다. 같은 문장에서 서로 다른 단어에 주목합니다.

**생각해 보세요.** $d_{\text{model}}$은 그대로 두고 헤드를 2개에서 4개로 늘리면 $W_Q$의 파라미터 수는 어떻게 됩니까?

```{choose} 3
두 배가 됩니다
: 헤드마다 행렬을 새로 만드는 것이 아니라, 같은 행렬의 열을 더 잘게 나눕니다.

절반이 됩니다
: 헤드 하나가 가지는 열의 수는 절반이 되지만, 헤드의 수가 두 배입니다.

그대로입니다
: $W_Q$의 모양은 $d_{\text{model}} \times d_{\text{model}}$입니다. 헤드의 수와 관계가 없습니다.
```

(join-heads)=
## 3. 이어 붙이고 섞기

헤드들의 출력을 옆으로 이어 붙이고(concatenate), $W_O$가 헤드가 찾은 것들을 섞습니다. 이어 붙인 것에 $W_O$를 곱하는 것은 헤드마다 $W_O$의 자기
행들을 곱해서 **더하는** 것과 같습니다: $[\mathrm{head}_1; \mathrm{head}_2]\,W_O = \mathrm{head}_1 W_O^{(1)} + \mathrm{head}_2 W_O^{(2)}$.
"""

# %% [markdown] lang="en"
r"""
The two heads have different weights: they attend to different words of the same sentence.

**Think first.** If the number of heads goes from 2 to 4 and $d_{\text{model}}$ stays, what happens to the number of parameters of $W_Q$?

```{choose} 3
It doubles.
: Heads do not get new matrices; the columns of the same matrix are split into smaller groups.

It is halved.
: Each head has half as many columns, but there are twice as many heads.

It stays the same.
: $W_Q$ has shape $d_{\text{model}} \times d_{\text{model}}$, for any number of heads.
```

(join-heads)=
## 3. Join and mix

The heads' outputs are put side by side (concatenated), and $W_O$ mixes what they found. This product is the **sum** over heads of each head times its own rows of $W_O$: $[\mathrm{head}_1; \mathrm{head}_2]\,W_O = \mathrm{head}_1 W_O^{(1)} + \mathrm{head}_2 W_O^{(2)}$.
"""

# %%
joined = concatenate(heads, axis=1)
output = joined @ W_O
table("joined", joined.data, "1234")
table("output", output.data, "1234")
by_heads = heads[0].data @ W_O.data[:2] + heads[1].data @ W_O.data[2:]
fused = attention(Q, K, V, num_heads=H, causal=True) @ W_O
print("head₁W₁ + head₂W₂:", np.allclose(by_heads, output.data))
print("attention(…, num_heads=2):", np.allclose(fused.data, output.data))
one_head = attention(Q, K, V, causal=True) @ W_O
print(f"num_heads=1: max |Δ| = {abs(one_head.data - output.data).max():.3f}")

# %% [markdown] lang="ko"
r"""
(heads-backward)=
## 4. 역전파

이어 붙이기의 역전파는 다시 쪼개기입니다. 각 헤드는 자기 열의 기울기만 받고, 6강의 규칙으로 자기 $q, k, v$에 보냅니다. $W_Q$의 앞 두 열은 헤드
1에서, 뒤 두 열은 헤드 2에서 기울기를 받습니다. "sat"의 출력을 모두 더한 것을 미분해 봅시다.
"""

# %% [markdown] lang="en"
r"""
(heads-backward)=
## 4. The backward pass

The backward pass of joining is splitting. Each head receives the gradient of its own columns and passes it to its own $q, k, v$ by the rules of lesson 6. So the
first two columns of $W_Q$ get their gradient from head 1, the others from head 2. We differentiate the sum of the output of "sat":
"""

# %%
sat = output[2].sum()
sat.name = "sat"
read = Tokens(tuple(WORDS), dict.fromkeys((x, Q, K, V, *heads, joined, output), 0))
sat.backward(retain_grads=True)
table("∂/∂joined", joined.grad, "1234")
for row in W_Q.grad:
    print(f"{'∂/∂W_Q':9}" + "".join(f"{number:8.3f}" for number in row))
print("Σ rows of W_O:", W_O.data.sum(axis=1).round(1))

# %% [markdown] lang="ko"
r"""
"sat"의 행만 기울기를 받고, 그 값은 $W_O$의 행의 합입니다($\bar J = \bar O W_O^{\mathsf T}$에서 $\bar O$의 행이 모두 1이므로).

```{player} sat, tokens=read
```

## 직접 실행하기

```{run}
from autolm import Value

q, keys, values = [1.0, 0.0, 0.0, 1.0], [[2.0, 0.0, 0.0, -1.0], [0.0, 1.0, 1.0, 3.0]], [[1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0]]
for head in (slice(0, 2), slice(2, 4)):
    s = [Value.dot([Value(x) for x in q[head]], k[head]) / 2**0.5 for k in keys]
    e = [x.exp() for x in s]
    w = [x / Value.sum(e) for x in e]
    out = [Value.dot(w, column) for column in zip(*(v[head] for v in values))]
    print([round(x.data, 3) for x in w], [round(x.data, 3) for x in out])
```

## 연습문제

**1. 값을 예측하세요.** GPT-3는 $d_{\text{model}} = 12288$, 헤드 96개입니다. $d_k$는?

```{predict} 12288 / 96
:within: 0

$d_k = d_{\text{model}}/H$입니다.

$12288/96 = 128$.
```

**2. 규칙을 쓰세요.** 헤드 둘의 출력 $a, b$를 $W_O$의 성분 $u, v$로 섞은 $y = au + bv$.

```{exercise} mix_heads
곱의 미분법을 두 번. 네 변수 각각에 무엇이 곱해져 있습니까?
```
"""

# %% [markdown] lang="en"
r"""
Only the row of "sat" gets a gradient; it holds the row sums of $W_O$ (in $\bar J = \bar O W_O^{\mathsf T}$, its row of $\bar O$ is all ones).

```{player} sat, tokens=read
```

## Run it yourself

```{run}
from autolm import Value

q, keys, values = [1.0, 0.0, 0.0, 1.0], [[2.0, 0.0, 0.0, -1.0], [0.0, 1.0, 1.0, 3.0]], [[1.0, 1.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0]]
for head in (slice(0, 2), slice(2, 4)):
    s = [Value.dot([Value(x) for x in q[head]], k[head]) / 2**0.5 for k in keys]
    e = [x.exp() for x in s]
    w = [x / Value.sum(e) for x in e]
    out = [Value.dot(w, column) for column in zip(*(v[head] for v in values))]
    print([round(x.data, 3) for x in w], [round(x.data, 3) for x in out])
```

## Exercises

**1. Predict.** GPT-3 has $d_{\text{model}} = 12288$ and 96 heads. What is its $d_k$?

```{predict} 12288 / 96
:within: 0

$d_k = d_{\text{model}}/H$.

$12288/96 = 128$.
```

**2. Write the rule.** The outputs $a, b$ of two heads, mixed by numbers $u, v$ of $W_O$: $y = au + bv$.

```{exercise} mix_heads
Use the product rule twice. By what is each of the four variables multiplied?
```
"""
