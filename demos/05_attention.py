# %% [markdown] lang="ko"
r"""
# 5강: 어텐션

**어텐션**(attention)은 문장 속 단어들이 서로를 바라보는 방법입니다. 각 위치는 질문을 하나 던지고(**쿼리**, query), 자기가 가진
것을 내보이고(**키**, key), 아는 것을 줍니다(**밸류**, value). 키가 쿼리에 얼마나 잘 맞는지가 그 밸류를 얼마나 가져올지를
정합니다.

$$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^{\mathsf T}}{\sqrt{d_k}}\right) V$$

(attention-scores)=
## 1. 점수: 내적과 유사도

점수는 쿼리와 키의 **내적**입니다. 방향이 비슷하면 크고, 수직이면 0, 반대면 음수입니다. 내적은 **유사도**(similarity)를
잽니다($q \cdot k = \|q\|\|k\|\cos\theta$). $K^{\mathsf T}$로 전치하면 모든 쌍의 내적이 행렬곱 한 번에 나옵니다. 행은 묻는
단어, 열은 대답하는 단어입니다. $\sqrt{d_k}$로 나누는 이유는 16강에서 유도합니다. 차원이 커져도 점수의 퍼짐이 1로
유지되도록 하는 것입니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 5: attention

**Attention** is how the words of a sentence look at one another. Each position asks a question (its **query**), shows what it
has (its **key**), and gives what it knows (its **value**). How well a key answers a query decides how much of that value is
taken.

$$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^{\mathsf T}}{\sqrt{d_k}}\right) V$$

(attention-scores)=
## 1. Scores: the dot product as similarity

A score is the **dot product** of a query and a key: large if they point the same way, 0 if at right angles, negative if
opposite. It measures **similarity** ($q \cdot k = \|q\|\|k\|\cos\theta$). With $K^{\mathsf T}$, transposed, one matrix product makes
all pairs: a row is the word that asks, a column the word that answers. Why divide by $\sqrt{d_k}$? Lesson 16 derives it: so that
the spread of the scores stays 1 however many numbers a key has.
"""

# %%
import math

import numpy as np

from autolm import Tensor, attention

WORDS = ["the", "cat", "sat", "down"]
T, D = len(WORDS), 3


def table(title, rows, columns=WORDS):
    print(f"{title:9}" + "".join(f"{column:>8}" for column in columns))
    for word, row in zip(WORDS, rows, strict=True):
        print(f"{word:9}" + "".join(f"{number:8.3f}" for number in row))
    print()


rng = np.random.default_rng(5)
q, k, v = (Tensor(rng.normal(size=(T, D)).round(1), name=name) for name in "qkv")
for name, rows in (("q", q), ("k", k), ("v", v)):
    table(name, rows.data, columns="123")
scores = q @ k.T / math.sqrt(D)
scores.name = "scores"
table("scores", scores.data)

# %% [markdown] lang="ko"
r"""
(causal-mask)=
## 2. 마스크: 앞을 미리 보지 않기

다음 단어를 예측할 때 뒤에 올 단어를 보면 시험 답안을 보는 것과 같습니다. 그런 점수를 $-\infty$로 바꿉니다. $e^{-\infty} = 0$이므로
그 단어의 가중치는 정확히 0이 됩니다. 이것을 **인과 마스크**(causal mask)라고 합니다.
"""

# %% [markdown] lang="en"
r"""
(causal-mask)=
## 2. The mask: nobody looks ahead

To predict the next word while seeing it is to sit an exam with the answers. Those scores become $-\infty$; and as
$e^{-\infty} = 0$, these words get a weight of exactly 0. This is the **causal mask**.
"""

# %%
ahead = np.triu(np.ones((T, T), dtype=bool), 1)
masked = scores.masked_fill(ahead, -np.inf)
masked.name = "masked"
table("masked", masked.data)

# %% [markdown] lang="ko"
r"""
(attention-weights)=
## 3. 가중치: 행마다 소프트맥스

한 행의 소프트맥스를 구하면 더해서 1이 되는 가중치가 됩니다.
"""

# %% [markdown] lang="en"
r"""
(attention-weights)=
## 3. Weights: a softmax along each row

They add up to 1.
"""

# %%
weights = masked.softmax()
weights.name = "weights"
table("weights", weights.data)

# %% [markdown] lang="ko"
r"""
(attention-output)=
## 4. 출력: 밸류의 가중합

각 단어는 볼 수 있는 밸류들의 **가중합**(weighted sum)을 가져갑니다. 첫 단어는 자기 자신밖에 볼 수 없으므로 자기 밸류
그대로입니다. `attention` 연산 하나가 이 네 단계를 모두 합니다. 마지막 줄이 두 결과가 같은지를 말합니다.
"""

# %% [markdown] lang="en"
r"""
(attention-output)=
## 4. Output: a weighted sum of values

Each word takes that much of each value it may see. The first sees itself alone, and so gets its own value. The one operation
`attention` does all four steps; the last line says whether the two agree.
"""

# %%
output = weights @ v
output.name = "output"
table("output", output.data, columns="123")
fused = attention(q, k, v, causal=True)
print(f"attention(q, k, v) = output: {np.allclose(fused.data, output.data, rtol=1e-12)}")

# %% [markdown] lang="ko"
r"""
(context)=
## 5. 문맥: 같은 단어, 다른 뜻

위의 수는 무작위였습니다. 이번에는 뜻이 있는 벡터입니다. 첫 성분은 물, 둘째 성분은 돈과 얼마나 가까운지를 말합니다. "bank"는 강둑이기도
하고 은행이기도 해서 $(1, 1)$입니다. 쿼리, 키, 밸류를 모두 이 벡터로 두면, "bank"는 자기와 닮은 단어를 바라봅니다.
"""

# %% [markdown] lang="en"
r"""
(context)=
## 5. Context: the same word, another meaning

Those numbers were random; these mean something. The first says how near a word is to water, the second how near to money.
"bank" may be either, $(1, 1)$. With this vector as query, key and value, "bank" looks at the words that are like it.
"""

# %%
MEANINGS = {"river": [2.0, 0.0], "money": [0.0, 2.0], "the": [0.0, 0.0], "bank": [1.0, 1.0]}
for text in ("river the bank", "money the bank"):
    x = np.array([MEANINGS[word] for word in text.split()])
    seen = Tensor(x @ x.T / math.sqrt(2)).softmax().data
    print(f"{text}:  weights of bank {seen[2].round(3)}   bank → {(seen[2] @ x).round(3)}")

# %% [markdown] lang="ko"
r"""
아무 뜻도 없는 "the"는 덜 보고, 앞에 온 단어 쪽으로 옮겨 갔습니다. 같은 단어의 벡터가 한 문장에서는 강둑, 다른 문장에서는 은행이 됩니다.
이것이 **문맥**(context)을 파악하는 일이고, $W_Q, W_K, W_V$는 무엇이 닮은 것인지를 글에서 배웁니다.

(attention-backward)=
## 6. 거꾸로: "sat"의 출력을 움직이는 것은 무엇인가

"sat"의 행에 1, 나머지에 0인 기울기에서 시작합니다. 행렬곱과 소프트맥스의 규칙(유도는 19강)에서

$$\bar V = A^{\mathsf T} \bar O, \qquad \bar A = \bar O V^{\mathsf T}, \qquad
\bar s_i = a_i \Bigl(\bar a_i - \sum_j \bar a_j a_j\Bigr), \qquad
\bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}}$$

여기서 $A$는 가중치, $S$는 점수입니다.
"""

# %% [markdown] lang="en"
r"""
"the", which means nothing here, is seen less, and "bank" has moved to the word before it: one word, but in one sentence at a river,
in the other with money. That is **context**; what counts as alike, $W_Q$, $W_K$ and $W_V$ learn from texts.

(attention-backward)=
## 6. Backwards: what moves the output of "sat"?

Begin with a gradient of 1 in the row of "sat", else 0. By the rules of matrix product and softmax (derived in lesson 19)

$$\bar V = A^{\mathsf T} \bar O, \qquad \bar A = \bar O V^{\mathsf T}, \qquad
\bar s_i = a_i \Bigl(\bar a_i - \sum_j \bar a_j a_j\Bigr), \qquad
\bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}},$$

where $A$ are the weights and $S$ the scores.
"""

# %%
seed = np.zeros((T, D))
seed[2] = 1.0
output.backward(seed, retain_grads=True)
table("∂/∂v", v.grad, columns="123")
table("∂/∂scores", scores.grad)
table("∂/∂q", q.grad, columns="123")
print(f"Σ ∂/∂scores[sat] = {abs(scores.grad[2].sum()):.0f}")
sat = (output * seed).sum()
sat.name = "sat"

# %% [markdown] lang="ko"
r"""
- 각 단어의 밸류는 "sat"이 준 가중치만큼 영향을 줍니다. "down"은 보이지 않았으므로 기울기가 0입니다.
- 점수는 "sat"의 행만 움직이고, 그 합은 0입니다. 한 단어가 관심을 더 받으면 다른 단어들이 덜 받습니다.
- 쿼리는 "sat"의 것만 움직입니다. 다른 단어는 이 출력을 묻지 않았습니다.

아래 플레이어에서 이 과정을 행렬마다 한 단계씩 볼 수 있습니다.

```{player} sat
2: 점수 QKᵀ
5: 소프트맥스
6: 가중합
12: 거꾸로: 가중합
13: 거꾸로: 소프트맥스
16: 거꾸로: q와 k
```

```{run}
from autolm import Value

query, keys, values = [1.0, 0.5], [[1.0, 0.0], [0.0, 2.0]], [10.0, -10.0]
q = [Value(x) for x in query]
scores = [Value.dot(q, k) / 2**0.5 for k in keys]
e = [s.exp() for s in scores]
weights = [x / Value.sum(e) for x in e]
output = Value.dot(weights, values)
output.backward()
print([round(w.data, 4) for w in weights], output.data)
print([round(x.grad, 4) for x in q])
```

## 연습문제

**1. 값을 예측하세요.** 어떤 행의 점수가 세 단어에 대해 모두 같다면, 각 단어의 가중치는?

```{predict} 1 / 3

같은 점수는 같은 가중치가 되고, 가중치의 합은 1입니다.

$e^s/(e^s + e^s + e^s) = 1/3$.
```

**2. 규칙을 쓰세요.** 가중치가 $w = \sigma(s)$와 $1 - w$인 두 밸류 $a, b$의 가중합 $y = wa + (1 - w)b$입니다.
($\sigma(s) = 1/(1 + e^{-s})$, $\sigma' = \sigma(1 - \sigma)$)

```{exercise} two_values
a는 w만큼, b는 나머지만큼 y에 들어갑니다.
s를 키우면 w가 커집니다. 그때 y는 a − b의 몇 배만큼 움직입니까?
```

**3. 그려서 설명하세요.** 단어가 넷일 때 인과 마스크가 있는 가중치 행렬에서 0이 아닌 칸을 칠해 보세요. 몇 칸입니까?

```{answer}
대각선과 그 아래, $1 + 2 + 3 + 4 = 10$칸입니다. 위의 `weights` 표와 비교하세요.
```
"""

# %% [markdown] lang="en"
r"""
- The value of each word counts by the weight that "sat" gave it. "down" was not seen: its gradient is 0.
- Only the row of "sat" in the scores can change it, and its sum is 0: a word that gets more attention takes it from the others.
- Only "sat" is told which way to change its query; nobody else asked for this output.

In the player below, all of it is there step by step.

```{player} sat
2: scores QKᵀ
5: softmax
6: weighted sum
12: back: weighted sum
13: back: softmax
16: back: q and k
```

```{run}
from autolm import Value

query, keys, values = [1.0, 0.5], [[1.0, 0.0], [0.0, 2.0]], [10.0, -10.0]
q = [Value(x) for x in query]
scores = [Value.dot(q, k) / 2**0.5 for k in keys]
e = [s.exp() for s in scores]
weights = [x / Value.sum(e) for x in e]
output = Value.dot(weights, values)
output.backward()
print([round(w.data, 4) for w in weights], output.data)
print([round(x.grad, 4) for x in q])
```

## Exercises

**1. Predict.** If the scores of a row are the same for three words, what is the weight of each?

```{predict} 1 / 3

Equal scores give equal weights, and the weights add up to 1.

$e^s/(e^s + e^s + e^s) = 1/3$.
```

**2. Write the rule.** Two values $a, b$ with weights $w = \sigma(s)$ and $1 - w$: $y = wa + (1 - w)b$.
($\sigma(s) = 1/(1 + e^{-s})$, $\sigma' = \sigma(1 - \sigma)$)

```{exercise} two_values
a goes into y by w, and b by what is left.
Raise s, and w rises: by how many times a − b does y move?
```

**3. Draw and explain.** Of four words, colour the cells of the weights that are not 0 under a causal mask. How many are there?

```{answer}
The diagonal and what is below it, $1 + 2 + 3 + 4 = 10$ cells. Compare with `weights` above.
```
"""
