# %% [markdown] lang="ko"
r"""
# 체크포인트 2: 손실, 놀라움의 크기

**1.** 손실은 왜 $1 - p$가 아니라 $-\ln p$입니까? 이유를 둘 쓰세요.

```{write}
```

```{answer}
(1) 글 전체의 확률은 단어들의 확률의 곱이고, 로그를 취하면 합이 됩니다. 평균할 수 있습니다. (2) 확신하며 틀릴수록($p \to 0$) 한없이 커집니다. 게다가 소프트맥스와 합치면 기울기가 $p - y$로 간단해집니다.
[5강](#cross-entropy)
```

**2.** 손실이 0.5 내트인 모델은 좋은 모델입니까?

```{write}
```

```{answer}
그것만으로는 알 수 없습니다. 같은 데이터의 기준선(uniform, unigram, bigram)과 비교해야 하고, 엔트로피를 안다면 엔트로피와도 비교해야 합니다. [13강](#loss-ladder)
```

**3.** 예측하세요. 확률 $0.2$로 예측한 단어가 실제로 나왔을 때의 손실은?

```{predict} -np.log(0.2)
```

**4.** 예측하세요. 세 단어의 손실이 $0.5,\; 1.0,\; 1.5$이면 퍼플렉시티는?

```{predict} np.exp(1.0)
```

## 답하는 숫자
"""

# %% [markdown] lang="en"
r"""
# Checkpoint 2: loss, the size of a surprise

**1.** Why is the loss $-\ln p$ and not $1 - p$? Two reasons.

```{write}
```

```{answer}
(1) The probability of a text is a product over its words; the logarithm turns it into a sum, which can be averaged. (2) The loss of a confident wrong prediction ($p \to 0$) grows without limit. And together with softmax the gradient is simply $p - y$. [Lesson 5](#cross-entropy)
```

**2.** Is a model with a loss of 0.5 nats good?

```{write}
```

```{answer}
The number alone does not tell. Compare it with the baselines of the same data (uniform, unigram, bigram), and with the entropy if it is known. [Lesson 13](#loss-ladder)
```

**3.** Predict: the actual word had probability $0.2$. What is the loss?

```{predict} -np.log(0.2)
```

**4.** Predict: the losses of three words are $0.5,\; 1.0,\; 1.5$. What is the perplexity?

```{predict} np.exp(1.0)
```

## The numbers that answer
"""

# %% tags=["hide-cell"]
import numpy as np

from autolm import Tensor, cross_entropy

print("p      1 − p    −ln p")
for p in (0.9, 0.5, 0.2, 0.01, 0.0001):
    print(f"{p:<7}{1 - p:.4f}   {-np.log(p):.4f}")
z = Tensor([2.0, 1.0, 0.0], name="z")
loss = cross_entropy(z, targets=np.array(1))
loss.backward()
print("p     =", z.softmax().data.round(4))
print("p − y =", (z.softmax().data - [0, 1, 0]).round(4))
print("grad  =", z.grad.round(4))
losses = np.array([0.5, 1.0, 1.5])
print(f"exp(mean) = {np.exp(losses.mean()):.4f}")
