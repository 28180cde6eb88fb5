# %% [markdown] lang="ko"
r"""
# 체크포인트 1: 글에서 확률까지

자기 말로 먼저 답하세요. 그다음에 답을 열고, 맨 아래의 숫자로 확인하세요.

**1.** "the cat sat"이 다음 단어의 확률이 될 때까지의 단계를 순서대로 쓰세요. 단계마다 모양은? ($T = 3,\; d = 4,\; V = 5$)

```{write}
```

```{answer}
토큰 $(3,)$ → 임베딩 + 위치 $(3, 4)$ → 층 정규화 $(3, 4)$ → $Q, K, V$ $(3, 4)$ → 점수, 가중치 $(3, 3)$ → 가중합과 $W_O$ $(3, 4)$ → 잔차 → 피드포워드 $(3, 6) \to (3, 4)$ → 잔차 → 로짓 $(3, 5)$ →
확률 $(3, 5)$. [9강](#tokens)
```

**2.** 첫 단어의 어텐션 가중치는 왜 언제나 $(1, 0, 0)$입니까?

```{write}
```

```{answer}
인과 마스크 때문에 자기 자신만 볼 수 있습니다. 하나뿐인 점수의 소프트맥스는 1입니다. [6강](#causal-mask)
```

**3.** 위치 인코딩을 빼면 무엇을 잃습니까?

```{write}
```

```{answer}
순서를 알 수 없게 됩니다. 마스크가 없다면 "dog bites man"과 "man bites dog"처럼 같은 토큰을 순서만 바꾼 두 문장에서 "bites"의 출력이 같습니다. [7강](#attention-without-order)
```

**4.** 예측하세요. 아래 모델에서 "sat"의 가중치 세 개를 더하면?

```{predict} 1
```

## 답하는 숫자
"""

# %% [markdown] lang="en"
r"""
# Checkpoint 1: from a text to probabilities

Answer in your own words first. Then open the answer, and check it with the numbers at the end.

**1.** Through which steps does "the cat sat" become the probabilities of the next word? Give the shape of each. ($T = 3,\; d = 4,\; V = 5$)

```{write}
```

```{answer}
Tokens $(3,)$ → embedding + position $(3, 4)$ → layer norm $(3, 4)$ → $Q, K, V$ $(3, 4)$ → scores, weights $(3, 3)$ → weighted sum and $W_O$ $(3, 4)$ → residual → feed-forward $(3, 6) \to (3, 4)$ → residual → logits $(3, 5)$ → probabilities $(3, 5)$.
[Lesson 9](#tokens)
```

**2.** Why are the attention weights of the first word always $(1, 0, 0)$?

```{write}
```

```{answer}
Because of the causal mask it sees only itself, and the softmax of a single score is 1. [Lesson 6](#causal-mask)
```

**3.** What is lost without positions?

```{write}
```

```{answer}
The order. Without a mask, the output of "bites" is the same in "dog bites man" and "man bites dog", which have the same tokens in another order. [Lesson 7](#attention-without-order)
```

**4.** Predict: in the model below, what do the three weights of "sat" add up to?

```{predict} 1
```

## The numbers that answer
"""

# %% tags=["hide-cell"]
import numpy as np

from autolm import TinyLM

model = TinyLM(5, 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
tokens = np.array([4, 0, 3])
block, a = model.blocks[0], model.blocks[0].attention
x = model.embedding[tokens] + model.positions[:3]
n = block.norm_1(x)
q, k, v = n @ a.W_Q, n @ a.W_K, n @ a.W_V
scores = (q @ k.T / 2).masked_fill(np.triu(np.ones((3, 3), bool), 1), -np.inf)
weights = scores.softmax()
logits, _ = model.forward(tokens)
for name, array in (("E + PE", x), ("x̂", n), ("Q", q), ("scores", scores), ("weights", weights)):
    print(f"{name:8} {array.shape}")
    print(array.data.round(3))
print("p       ", logits.shape)
print(logits.softmax().data.round(3), " Σ", logits.softmax().data.sum(1).round(6))
print("Σ weights", weights.data.sum(1).round(6))
