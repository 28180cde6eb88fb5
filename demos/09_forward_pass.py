# %% [markdown] lang="ko"
r"""
(forward-pass)=
# 9강: 순전파 전체

아주 작은 TinyLM이 단어 셋을 읽고, 단어마다 다음 단어를 예측합니다. 파라미터에서 손실까지 한 줄 한 줄 직접 계산하고,
마지막에 모델이 혼자 계산한 것과 비교합니다.

$$\text{토큰} \to \text{임베딩} + \text{위치} \qquad \to \underbrace{\text{어텐션} \to \text{피드포워드}}_{\text{N개 층}} \qquad
\to \text{로짓} \to \text{확률} \to \text{손실}$$

(tokens)=
## 1. 토큰

단어는 어휘(vocabulary) 속의 번호, **토큰**(token)이 됩니다.
"""

# %% [markdown] lang="en"
r"""
(forward-pass)=
# Lesson 9: the whole forward pass

A very small TinyLM reads three words and predicts the next word after each. We compute everything line by line, from the parameters to the
loss, and compare the result with the model's own.

$$\text{tokens} \to \text{embedding} + \text{position} \qquad \to \underbrace{\text{attention} \to \text{feed-forward}}_{N\text{ layers}} \qquad
\to \text{logits} \to \text{probabilities} \to \text{loss}$$

(tokens)=
## 1. Tokens

Each word becomes its number in the vocabulary, a **token**.
"""

# %%
import math

import numpy as np

from autolm import TinyLM
from autolm.lm.text_loss import tokens_of

VOCABULARY = ["cat", "down", "mat", "sat", "the"]
SENTENCE = ["the", "cat", "sat", "down"]
SEEN = SENTENCE[:3]
ids = [VOCABULARY.index(word) for word in SENTENCE]
tokens, targets = np.array(ids[:-1]), np.array(ids[1:])


def show(name, tensor, columns=()):
    print(f"{name:<9}" + "".join(f"{column:>8}" for column in columns))
    for word, row in zip(SEEN, tensor, strict=True):
        print(f"{word:<9}" + "".join(f"{number:8.3f}" for number in row))


model = TinyLM(len(VOCABULARY), 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
block, attention = model.blocks[0], model.blocks[0].attention
print(f"{model.num_parameters()} parameters: V = 5, d_model = 4, N = 1, heads = 1, d_ff = 6")
print(" ".join(SEEN), "→", tokens)

# %% [markdown] lang="ko"
r"""
(embedding)=
## 2. 임베딩

각 토큰은 표 $E \in \mathbb{R}^{V \times d_{\text{model}}}$에서 자기 행을 가져옵니다. 이것이 **임베딩**(embedding)입니다. 원-핫 벡터에 행렬을
곱하는 것과 같습니다: $E[\text{token}] = \text{onehot}(\text{token})\, E$.
"""

# %% [markdown] lang="en"
r"""
(embedding)=
## 2. Embedding

Each token takes its row of a table $E \in \mathbb{R}^{V \times d_{\text{model}}}$, its **embedding**. This equals a one-hot vector
times a matrix: $E[\text{token}] = \text{onehot}(\text{token})\, E$.
"""

# %%
show("E[token]", model.embedding[tokens])
one_hot = np.eye(5)[tokens]
print(
    "onehot @ E = E[token]:", np.allclose(one_hot @ model.embedding.data, model.embedding[tokens])
)

# %% [markdown] lang="ko"
r"""
(position)=
## 3. 위치

단어가 어디에 있는지 알도록 **위치 인코딩**(positional encoding)을 더합니다. 사인과 코사인으로 만든 시곗바늘 두 개입니다. 공식과
이유는 7강에 있습니다.
"""

# %% [markdown] lang="en"
r"""
(position)=
## 3. Position

A **positional encoding** is added so that the model knows where each word is: the hands of two clocks, made of sines and cosines.
Lesson 7 gives the formula and the reason.
"""

# %%
show("PE", model.positions[:3])
x = model.embedding[tokens] + model.positions[:3]
show("x", x)

# %% [markdown] lang="ko"
r"""
(layer-norm-forward)=
## 4. 층 정규화

**층 정규화**(layer normalization)는 각 행을 평균 0, 분산 1로 맞춥니다. 어텐션은 이 값을 입력으로 씁니다.

$$\hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad \mu = \frac1d \sum_i x_i, \qquad
\sigma^2 = \frac1d \sum_i (x_i - \mu)^2, \qquad y_i = \gamma_i \hat x_i + \beta_i$$
"""

# %% [markdown] lang="en"
r"""
(layer-norm-forward)=
## 4. Layer norm

**Layer normalization** scales each row to mean 0 and variance 1; the result is the input of attention.

$$\hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad \mu = \frac1d \sum_i x_i, \qquad
\sigma^2 = \frac1d \sum_i (x_i - \mu)^2, \qquad y_i = \gamma_i \hat x_i + \beta_i$$
"""

# %%
normal = block.norm_1(x)
show("x̂", normal)

# %% [markdown] lang="ko"
r"""
(qkv)=
## 5. Q, K, V 투영

정규화한 값에 행렬 셋을 곱합니다(**투영**, projection): $Q = \hat x W_Q$, $K = \hat x W_K$, $V = \hat x W_V$.
"""

# %% [markdown] lang="en"
r"""
(qkv)=
## 5. Projections Q, K, V

The normalized rows are multiplied by three matrices: $Q = \hat x W_Q$, $K = \hat x W_K$, $V = \hat x W_V$.
"""

# %%
q, k, v = normal @ attention.W_Q, normal @ attention.W_K, normal @ attention.W_V
for name, rows in (("Q", q), ("K", k), ("V", v)):
    show(name, rows)

# %% [markdown] lang="ko"
r"""
(scores)=
## 6. 점수와 가중치

점수는 쿼리와 키의 내적을 $\sqrt 4$로 나눈 것입니다. 뒤의 단어는 볼 수 없으므로 그 점수를 $-\infty$로 바꾸고, 행마다 소프트맥스를 구합니다.
"""

# %% [markdown] lang="en"
r"""
(scores)=
## 6. Scores and weights

A score is the dot product of a query and a key, divided by $\sqrt 4$. Later words must not be seen, so their scores become $-\infty$. Then we take the softmax of each row.
"""

# %%
scores = (q @ k.T / math.sqrt(4)).masked_fill(np.triu(np.ones((3, 3), bool), 1), -np.inf)
show("scores", scores, SEEN)
weights = scores.softmax()
show("weights", weights, SEEN)

# %% [markdown] lang="ko"
r"""
(residual)=
## 7. 잔차 연결

어텐션의 출력을 $x$에 **더합니다**. $x$에 있던 정보는 그대로 남습니다. 이것이 **잔차 연결**(residual connection)입니다.

$$x \leftarrow x + A V W_O$$
"""

# %% [markdown] lang="en"
r"""
(residual)=
## 7. The residual connection

The output of attention is **added** to $x$, so the information in $x$ is kept.

$$x \leftarrow x + A V W_O$$
"""

# %%
x = x + weights @ v @ attention.W_O
show("x", x)

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 어텐션의 출력이 모두 0이라면 잔차 연결 뒤의 $x$는 무엇입니까?

```{choose} 2
0입니다
: 잔차 연결은 어텐션의 출력으로 바꾸는 것이 아니라 더하는 것입니다.

어텐션에 들어가기 전의 $x$입니다
: $x + 0 = x$입니다. 그래서 아무것도 배우지 않은 블록은 정보를 그대로 통과시킬 수 있습니다.

정규화한 $\hat x$입니다
: $\hat x$는 어텐션의 입력으로만 쓰입니다. 더해지는 쪽은 정규화하기 전의 $x$입니다.
```

(feed-forward)=
## 8. 피드포워드

이제 단어마다 따로 계산합니다. **피드포워드**(feed-forward) 층은 폭을 6으로 넓히고, 음수를 0으로 바꾸고, 다시 폭을 4로 줄입니다.

$$x \leftarrow x + \mathrm{ReLU}(\hat x W_1)\, W_2$$
"""

# %% [markdown] lang="en"
r"""
**Think first.** If the output of attention is 0 everywhere, what is $x$ after the residual connection?

```{choose} 2
0
: The residual connection adds the output of attention; it does not replace $x$.

the $x$ from before attention
: $x + 0 = x$. So a block that has learned nothing can pass the information on unchanged.

the normalized $\hat x$
: $\hat x$ is only the input of attention. The sum uses the $x$ from before the layer norm.
```

(feed-forward)=
## 8. Feed-forward

Now each word is processed separately: the **feed-forward** layer widens it to 6 numbers, replaces negative ones by 0, and goes back to 4.

$$x \leftarrow x + \mathrm{ReLU}(\hat x W_1)\, W_2$$
"""

# %%
hidden = (block.norm_2(x) @ block.feed_forward.W_1).relu()
show("hidden", hidden)
x = x + hidden @ block.feed_forward.W_2
show("x", x)

# %% [markdown] lang="ko"
r"""
(output-layer)=
## 9. 출력층: 로짓과 확률

한 번 더 정규화하고, 어휘의 단어마다 점수를 냅니다. $\text{logits} = \hat x W_{\text{out}}$. 소프트맥스가 이것을
$P(\text{다음 단어} \mid \text{문맥})$으로 바꿉니다.
"""

# %% [markdown] lang="en"
r"""
(output-layer)=
## 9. The output layer: logits and probabilities

After one more layer norm, the model computes a score for each word of the vocabulary: $\text{logits} = \hat x W_{\text{out}}$. Softmax turns them into
$P(\text{next word} \mid \text{context})$.
"""

# %%
logits = model.norm(x) @ model.W_out
show("logits", logits, VOCABULARY)
show("p", logits.softmax(), VOCABULARY)

# %% [markdown] lang="ko"
r"""
(loss)=
## 10. 손실

실제로 나온 단어의 $-\ln p$를 평균합니다. 무작위로 찍으면 손실이 $\ln 5$입니다. 이 모델은 아직 아무것도 배우지 않았습니다.
"""

# %% [markdown] lang="en"
r"""
(loss)=
## 10. The loss

The loss is the mean of $-\ln p$ of the actual words. Random guessing gives a loss of $\ln 5$, and this model has not learned anything yet.
"""

# %%
surprise = -logits.log_softmax()[np.arange(3), targets]
for here, after, nats in zip(SEEN, SENTENCE[1:], surprise.data, strict=True):
    print(f"P({after:4} | … {here}) = {math.exp(-nats):.3f}   −ln p = {nats:.4f}")
print(
    f"\nL = {surprise.mean():.6f}   PPL = {np.exp(surprise.mean()):.3f}   ln 5 = {math.log(5):.3f}"
)
loss = model.compute_loss(tokens, targets)
read = tokens_of(loss, VOCABULARY)
print(f"model.compute_loss → {loss:.6f}")

# %% [markdown] lang="ko"
r"""
손으로 계산한 손실과 모델이 계산한 손실이 같습니다. 이 모든 것이 하나의 계산 그래프입니다.

```{player} loss, tokens=read
```

## 직접 실행하기

```{run}
from autolm import Value

x = [Value(v) for v in (1.0, 2.0, 3.0, 6.0)]
mean = Value.sum(x) / 4
variance = Value.sum((v - mean) ** 2 for v in x) / 4
normal = [(v - mean) / (variance + 1e-5).sqrt() for v in x]
print([round(v.data, 4) for v in normal])
```

## 연습문제

**1. 값을 예측하세요.** 이 모델의 파라미터는 몇 개입니까? ($E$와 $W_{\text{out}}$은 각각 5·4개, 어텐션에는 4·4 행렬이 네 개,
피드포워드에는 4·6과 6·4, 층 정규화는 세 번이고 각각 $\gamma$와 $\beta$가 4개씩입니다. 위치 인코딩은 파라미터가 아닙니다.)

```{predict} model.num_parameters()
:within: 0

행렬의 파라미터 수를 모두 더하고, $\gamma$와 $\beta$를 더하세요.

$2 \cdot 20 + 4 \cdot 16 + 2 \cdot 24 + 3 \cdot 8 = 40 + 64 + 48 + 24 = 176$.
```

**2. 규칙을 쓰세요.** 잔차 연결이 있는 블록 $y = x + w \tanh x$입니다.

```{exercise} residual_block
x에서 y로 가는 경로는 둘입니다. 하나는 아무것도 거치지 않습니다.
```

**3. 그려서 설명하세요.** 10개의 단계를 상자로 그리고 상자마다 모양을 적으세요. 모양이 $(3, 3)$인 것은 무엇뿐입니까?

```{answer}
점수와 가중치뿐입니다. 단어 셋이 단어 셋을 바라보기 때문입니다. 나머지는 $(3, 4)$, 피드포워드의 가운데는 $(3, 6)$, 로짓은 $(3, 5)$입니다.
```
"""

# %% [markdown] lang="en"
r"""
Our loss equals the model's. The whole computation is one graph:

```{player} loss, tokens=read
```

## Run it yourself

```{run}
from autolm import Value

x = [Value(v) for v in (1.0, 2.0, 3.0, 6.0)]
mean = Value.sum(x) / 4
variance = Value.sum((v - mean) ** 2 for v in x) / 4
normal = [(v - mean) / (variance + 1e-5).sqrt() for v in x]
print([round(v.data, 4) for v in normal])
```

## Exercises

**1. Predict.** How many parameters does this model have? ($E$ and $W_{\text{out}}$ are 5·4 each, attention has four matrices of 4·4,
feed-forward 4·6 and 6·4, and each of the three layer norms has 4 numbers $\gamma$ and 4 numbers $\beta$. Positions are not parameters.)

```{predict} model.num_parameters()
:within: 0

Add up the matrices, then $\gamma$ and $\beta$.

$2 \cdot 20 + 4 \cdot 16 + 2 \cdot 24 + 3 \cdot 8 = 40 + 64 + 48 + 24 = 176$.
```

**2. Write the rule.** A block with a residual connection, $y = x + w \tanh x$.

```{exercise} residual_block
Two paths lead from x to y. One passes through nothing.
```

**3. Draw and explain.** Draw the ten steps as boxes, with a shape on each. Which are the only ones with shape $(3, 3)$?

```{answer}
Only the scores and the weights: three words attend to three words. The others are $(3, 4)$, the middle of feed-forward is $(3, 6)$, and logits
are $(3, 5)$.
```
"""
