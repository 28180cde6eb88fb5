# %% [markdown] lang="ko"
r"""
# 6강: 어텐션

"bank"라는 단어는 강둑일 수도 있고 은행일 수도 있습니다. "river the bank"에서는 강둑, "money the bank"에서는 은행입니다. 그런데 단어 하나를 벡터 하나로 바꾸면 두 문장의 "bank"가 똑같은 벡터가 됩니다.
뜻을 구별하려면 "bank"의 벡터에 같은 문장의 다른 단어에서 온 정보를 섞어야 합니다. **어텐션**(attention)이 그 일을 합니다. 어떤 단어의 정보를 얼마나 섞을지를 정해서 가중합을 구합니다.

도서관에서 책을 찾는 것과 비슷합니다. 찾는 내용(**쿼리**, query)을 책마다 붙은 색인(**키**, key)과 비교하고, 잘 맞는 책의 내용(**밸류**, value)을 많이 가져옵니다. 어텐션에서는 위치마다 쿼리, 키, 밸류 벡터가
하나씩 있고, 쿼리와 키가 얼마나 잘 맞는지가 그 밸류의 가중치를 정합니다.

$$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^{\mathsf T}}{\sqrt{d_k}}\right) V$$

(attention-scores)=
## 1. 점수: 내적과 유사도

점수는 쿼리와 키의 **내적**입니다. 방향이 비슷하면 크고, 수직이면 0, 반대면 음수입니다. 내적은 **유사도**(similarity)를
잽니다($q \cdot k = \|q\|\|k\|\cos\theta$). $K^{\mathsf T}$로 전치하면 모든 쌍의 내적이 행렬곱 한 번에 나옵니다. 행은 묻는
단어, 열은 대답하는 단어입니다. $\sqrt{d_k}$로 나누는 이유는 4강에서 유도했습니다. 차원이 커져도 점수의 표준편차가 1로
유지되도록 하는 것입니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 6: attention

The word "bank" can be the side of a river or a place for money: "river the bank", "money the bank". But if each word is one vector, "bank" has the same vector in both sentences. To tell the meanings apart, the vector of
"bank" must take in information from the other words of its sentence. **Attention** does this: it decides how much of each word to take, and computes a weighted sum.

It resembles a search in a library. What you look for (the **query**) is compared with the index entry of each book (its **key**), and you take more of the contents (the **value**) of books that match well. In attention each position has
one query, one key and one value vector, and how well a query matches a key decides the weight of that value.

$$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^{\mathsf T}}{\sqrt{d_k}}\right) V$$

(attention-scores)=
## 1. Scores: the dot product measures similarity

A score is the **dot product** of a query and a key: large if they point the same way, 0 if at right angles, negative if
opposite. It measures **similarity** ($q \cdot k = \|q\|\|k\|\cos\theta$). With $K^{\mathsf T}$, transposed, one matrix product computes all pairwise dot products: rows belong to queries,
columns to keys. Lesson 4 derives why we divide by $\sqrt{d_k}$: so that the standard deviation of the scores stays 1 for every
dimension of the keys.
"""

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

from autolm import Tensor, attention
from autolm.walking.tokens import Tokens

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
## 2. 마스크: 뒤에 올 단어를 가리기

다음 단어를 예측할 때 뒤에 올 단어를 보면 시험 답안을 보는 것과 같습니다. 그런 점수를 $-\infty$로 바꿉니다. $e^{-\infty} = 0$이므로
그 단어의 가중치는 정확히 0이 됩니다. 이것을 **인과 마스크**(causal mask)라고 합니다.
"""

# %% [markdown] lang="en"
r"""
(causal-mask)=
## 2. The mask: hide the words that come later

Predicting the next word while seeing it would be like taking an exam with the answers. So the scores of later words are set to $-\infty$; since
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

점수의 행마다 소프트맥스를 구하면 합이 1인 가중치가 됩니다.
"""

# %% [markdown] lang="en"
r"""
(attention-weights)=
## 3. Weights: the softmax of each row

The softmax of each row of scores gives weights that add up to 1.
"""

# %%
weights = masked.softmax()
weights.name = "weights"
table("weights", weights.data)

# %% en="a heat map of the weights: rows are queries, columns keys; cells above the diagonal are empty" ko="가중치의 열지도: 행은 쿼리, 열은 키. 대각선 위의 칸은 비어 있습니다"
figure, ax = plt.subplots(figsize=(3.4, 2.8), layout="constrained")
ax.imshow(np.where(ahead, np.nan, weights.data), cmap="Blues", vmin=0, vmax=1)
for row, column in zip(*np.nonzero(~ahead), strict=True):
    weight = weights.data[row, column]
    ax.text(
        column, row, f"{weight:.2f}", ha="center", va="center", color="k" if weight < 0.6 else "w"
    )
ax.set(
    xticks=range(T), xticklabels=WORDS, yticks=range(T), yticklabels=WORDS, xlabel="k", ylabel="q"
)

# %% [markdown] lang="ko"
r"""
(attention-output)=
## 4. 출력: 밸류의 가중합

각 단어는 볼 수 있는 밸류들의 **가중합**(weighted sum)을 가져갑니다. 첫 단어는 자기 자신밖에 볼 수 없으므로 자기 밸류
그대로입니다. `attention` 연산 하나가 이 네 단계를 모두 합니다. 마지막 줄에서 두 결과가 같음을 확인합니다.
"""

# %% [markdown] lang="en"
r"""
(attention-output)=
## 4. Output: a weighted sum of the values

Each word takes a **weighted sum** of the values that it can see. The first word sees only itself, so it gets its own value. The single operation
`attention` does all four steps; the last line checks that the results are equal.
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

위의 수는 무작위였습니다. 이번에는 뜻이 있는 벡터입니다. 첫 성분은 물, 둘째 성분은 돈과 얼마나 가까운지를 나타냅니다. "bank"는 강둑이기도
하고 은행이기도 해서 $(1, 1)$입니다. 쿼리, 키, 밸류를 모두 이 벡터로 두면, "bank"의 가중치는 자기와 비슷한 단어에서 커집니다.
"""

# %% [markdown] lang="en"
r"""
(context)=
## 5. Context: the same word, two meanings

The numbers above were random. Now we choose vectors with a meaning: the first component says how close a word is to water, the second how close to
money. "bank" can be either, $(1, 1)$. We use the same vector as query, key and value; then "bank" attends to words similar to it.
"""

# %%
MEANINGS = {"river": [2.0, 0.0], "money": [0.0, 2.0], "the": [0.0, 0.0], "bank": [1.0, 1.0]}
for text in ("river the bank", "money the bank"):
    x = np.array([MEANINGS[word] for word in text.split()])
    attention_weights = Tensor(x @ x.T / math.sqrt(2)).softmax().data
    print(
        f"{text}:  weights of bank {attention_weights[2].round(3)}   bank → {(attention_weights[2] @ x).round(3)}"
    )

# %% [markdown] lang="ko"
r"""
"bank"의 벡터는 아무 뜻도 없는 "the"를 덜 반영하고, 먼저 나온 "river"나 "money" 쪽으로 옮겨 갔습니다. 같은 단어의 벡터가 한 문장에서는 강둑에,
다른 문장에서는 은행에 가까워집니다. **문맥**(context)을 파악한다는 것이 바로 이것입니다. 어떤 단어를 비슷하다고 볼지는 $W_Q, W_K, W_V$가 데이터에서 배웁니다.

**생각해 보세요.** 마스크할 점수를 $-\infty$ 대신 0으로 바꾸면 어떻게 됩니까?

```{choose} 1
가려야 할 단어도 양수인 가중치를 받습니다
: $e^0 = 1$이므로 그 단어의 가중치는 0이 아닙니다. 다음 단어가 학습할 때 그대로 새어 들어옵니다.

결과가 같습니다
: 가중치가 0이 되려면 지수함수의 값이 0이어야 합니다. $e^0$은 1입니다.

소프트맥스를 계산할 수 없습니다
: 계산은 됩니다. 그래서 이 잘못은 오류 없이 지나가고, 학습 손실만 지나치게 작아집니다.
```

(attention-backward)=
## 6. 역전파: "sat"의 출력은 무엇에 따라 변하는가

"sat"의 행에 1, 나머지에 0인 기울기에서 시작합니다. 행렬곱과 소프트맥스의 규칙(유도는 10강)에 의해

$$\bar V = A^{\mathsf T} \bar O, \qquad \bar A = \bar O V^{\mathsf T}, \qquad
\bar s_i = a_i \Bigl(\bar a_i - \sum_j \bar a_j a_j\Bigr), \qquad
\bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}}$$

여기서 $A$는 가중치, $S$는 점수입니다. 아래에 $\bar V$, $\bar S$, $\bar Q$, $\bar K$를 차례로 출력합니다.
"""

# %% [markdown] lang="en"
r"""
"the", which means nothing here, gets less weight, and the vector of "bank" moves towards the earlier word: the same word ends up near "river" in one
sentence and near "money" in the other. This is **context**. $W_Q$, $W_K$ and $W_V$ learn from data which words count as similar.

**Think first.** What happens if masked scores are set to 0 instead of $-\infty$?

```{choose} 1
The hidden words still get a positive weight.
: $e^0 = 1$, so their weight is not 0. During training, the next word leaks into its own prediction.

The result is the same.
: A weight is 0 only if the exponential is 0, and $e^0$ is 1.

Softmax cannot be computed.
: It can. So this mistake causes no error; only the training loss becomes suspiciously small.
```

(attention-backward)=
## 6. The backward pass: what does the output of "sat" depend on?

Start from a gradient of 1 in the row of "sat" and 0 elsewhere. By the rules of the matrix product and softmax (derived in lesson 10)

$$\bar V = A^{\mathsf T} \bar O, \qquad \bar A = \bar O V^{\mathsf T}, \qquad
\bar s_i = a_i \Bigl(\bar a_i - \sum_j \bar a_j a_j\Bigr), \qquad
\bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}},$$

where $A$ are the weights and $S$ the scores. Below we print $\bar V$, $\bar S$, $\bar Q$ and $\bar K$.
"""

# %%
seed = np.zeros((T, D))
seed[2] = 1.0
output.backward(seed, retain_grads=True)
table("∂/∂v", v.grad, columns="123")
table("∂/∂scores", scores.grad)
table("∂/∂q", q.grad, columns="123")
table("∂/∂k", k.grad, columns="123")
print(f"Σ ∂/∂scores[sat] = {abs(scores.grad[2].sum()):.0f}")
sat = (output * seed).sum()
sat.name = "sat"
read = Tokens(tuple(WORDS), dict.fromkeys((q, k, v, scores, masked, weights, output), 0))

# %% [markdown] lang="ko"
r"""
- 각 단어의 밸류는 "sat"의 가중치만큼 출력에 영향을 줍니다. "down"은 가려졌으므로 기울기가 0입니다.
- 점수의 기울기는 "sat" 행에만 있고, 그 합은 0입니다. 한 단어의 가중치가 커지면 다른 단어들의 가중치가 작아집니다.
- 쿼리의 기울기도 "sat" 행에만 있습니다. 이 출력은 "sat"의 쿼리만으로 계산됩니다.

플레이어에서 이 과정을 행렬마다 한 단계씩 볼 수 있습니다.

```{player} sat, tokens=read
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
여기서 $\sigma(s) = 1/(1 + e^{-s})$이고 $\sigma' = \sigma(1 - \sigma)$입니다.

```{exercise} two_values
a는 w만큼, b는 나머지만큼 y에 들어갑니다.
s를 키우면 w가 커집니다. 그때 y는 a − b의 몇 배만큼 변합니까?
```

**3. 그려서 설명하세요.** 단어가 넷일 때 인과 마스크가 있는 가중치 행렬에서 0이 아닌 칸을 칠해 보세요. 몇 칸입니까?

```{answer}
대각선과 그 아래, $1 + 2 + 3 + 4 = 10$칸입니다. 위의 `weights` 표와 비교하세요.
```

**4. 만들어 보세요.** 어텐션 헤드 하나를 만드세요. `q`, `k`, `v`는 위치마다 행이 하나인 리스트이고, 위치 `t`는 위치 `0`부터 `t`까지만 봅니다(인과 마스크).

```{build} attention_head
점수는 내적을 √d_k로 나눈 것입니다. d_k는 키의 길이입니다.
볼 수 있는 위치의 점수만으로 소프트맥스를 구하면 마스크가 필요 없습니다.
```
"""

# %% [markdown] lang="en"
r"""
- The value of each word affects the output by the weight that "sat" gave it. "down" was hidden, so its gradient is 0.
- The gradient of the scores is nonzero only in the row of "sat", and that row adds up to 0: if one word gets more weight, the others get less.
- The gradient of the queries is nonzero only for "sat": this output is computed from no other query.

The player shows all of this, one matrix at a time.

```{player} sat, tokens=read
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

**1. Predict.** If all three scores in a row are equal, what is the weight of each word?

```{predict} 1 / 3

Equal scores give equal weights, and the weights add up to 1.

$e^s/(e^s + e^s + e^s) = 1/3$.
```

**2. Write the rule.** Two values $a, b$ with weights $w = \sigma(s)$ and $1 - w$: $y = wa + (1 - w)b$.
Here $\sigma(s) = 1/(1 + e^{-s})$, and $\sigma' = \sigma(1 - \sigma)$.

```{exercise} two_values
a enters y with weight w, b with the rest.
If s increases, w increases. By what multiple of a − b does y change?
```

**3. Draw and explain.** For four words, colour the cells of the weight matrix that are not 0 under a causal mask. How many are there?

```{answer}
The diagonal and everything below it: $1 + 2 + 3 + 4 = 10$ cells. Compare with `weights` above.
```

**4. Build it.** Write one attention head. `q`, `k` and `v` are lists with one row for each position; position `t` sees only positions `0` to `t` (causal mask).

```{build} attention_head
A score is the dot product divided by √d_k, where d_k is the length of a key.
Take the softmax over the visible positions only; then no mask is needed.
```
"""
