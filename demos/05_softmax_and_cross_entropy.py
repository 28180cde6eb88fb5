# %% [markdown] lang="ko"
r"""
# 5강: 소프트맥스와 교차 엔트로피

언어 모델의 끝에는 단어마다 점수가 하나씩 있습니다. 이 점수를 **로짓**(logit)이라고 합니다. **소프트맥스**(softmax)는 점수를
확률로 만들고, **교차 엔트로피**(cross entropy)는 실제로 나온 단어에 모델이 얼마나 놀랐는지를 잽니다. 둘을 합치면
기울기가 아주 간단해집니다: 예측 − 정답.

(softmax)=
## 1. 소프트맥스: 지수함수로 확률을 만듭니다

지금까지의 글은 "the cat"입니다. 다음 단어는 무엇일까요? **지수함수**(exponential function) $e^z$는 모든 점수를 양수로
만들고, 합으로 나누면 더해서 1이 되는 확률이 됩니다.

$$p_i = P(\text{단어}_i \mid \text{문맥}) = \frac{e^{z_i}}{\sum_k e^{z_k}}$$

이것은 지금까지의 글을 조건으로 하는 **조건부 확률**(conditional probability)입니다.

**왜 지수함수입니까?** 점수를 그대로 합으로 나누면 음수인 점수 때문에 확률이 음수가 됩니다. 음수를 0으로 바꾸면 확률이 정확히 0이 되어, 그 단어가 실제로 나왔을 때 손실이 무한대가 되고 기울기도 없습니다.
$e^z$은 언제나 양수이고 증가하므로 점수의 순서를 지키며, 점수의 **차**가 확률의 **비**가 됩니다: $p_i / p_j = e^{z_i - z_j}$. 점수가 1만큼 크면 확률이 약 2.7배입니다. 그리고 4절에서 보듯이 기울기가 아주 간단해집니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 5: softmax and cross entropy

A language model ends in one score for each word, its **logits**. **Softmax** turns them into probabilities, and **cross entropy**
measures how surprised the model is by the actual next word. Together they have a very simple gradient: prediction − truth.

(softmax)=
## 1. Softmax: probabilities from exponentials

The text so far is "the cat". Which word comes next? The **exponential function** $e^z$ makes every score positive; divided by
their sum, the results add up to 1, as probabilities must.

$$p_i = P(\text{word}_i \mid \text{context}) = \frac{e^{z_i}}{\sum_k e^{z_k}}$$

This is a **conditional probability**: it is conditioned on the text so far.

**Why the exponential?** Dividing the scores themselves by their sum would give negative probabilities for negative scores. Replacing negative scores by 0 would give probabilities of exactly 0: an infinite loss, and no gradient, if that word
occurs. $e^z$ is always positive and increasing, so it keeps the order of the scores, and turns **differences** of scores into **ratios** of probabilities: $p_i / p_j = e^{z_i - z_j}$. A score that is larger by 1 means a probability about 2.7 times as large. And, as section 4 shows, the gradient becomes very simple.
"""

# %%
import numpy as np

from autolm import Tensor, cross_entropy

WORDS = ["cat", "dog", "sat", "the"]
logits = Tensor([1.0, 0.5, 3.0, -1.0], name="z")
target = WORDS.index("sat")


def table(*columns):
    print(" " * 6 + "".join(f"{name:>9}" for name, _ in columns))
    for row, word in enumerate(WORDS):
        print(f"{word:6}" + "".join(f"{numbers[row]:9.4f}" for _, numbers in columns))


p = logits.softmax().data
exponentials = np.exp(logits.data)
table(("z", logits.data), ("exp z", exponentials), ("p", p))
print(f"\nΣ exp z = {exponentials.sum():.4f}   Σ p = {p.sum():g}")

# %% [markdown] lang="ko"
r"""
(softmax-stable)=
## 2. 최댓값을 빼는 이유: 수치 안정성

모든 점수에 같은 수 $c$를 더해도 확률은 그대로입니다. $e^{z+c} = e^z e^c$이고 $e^c$가 약분되기 때문입니다.

$$\frac{e^{z_i + c}}{\sum_k e^{z_k + c}} = \frac{e^c\, e^{z_i}}{e^c \sum_k e^{z_k}} = \frac{e^{z_i}}{\sum_k e^{z_k}}$$

그래서 $c = -\max_k z_k$로 둡니다. $e^{1000}$은 컴퓨터에서 무한대이지만, 최댓값을 빼면 가장 큰 지수가 $e^0 = 1$입니다.
"""

# %% [markdown] lang="en"
r"""
(softmax-stable)=
## 2. Why we subtract the maximum: numerical stability

Adding the same number $c$ to every score leaves the probabilities unchanged: $e^{z+c} = e^z e^c$, and $e^c$ cancels.

$$\frac{e^{z_i + c}}{\sum_k e^{z_k + c}} = \frac{e^c\, e^{z_i}}{e^c \sum_k e^{z_k}} = \frac{e^{z_i}}{\sum_k e^{z_k}}$$

So we set $c = -\max_k z_k$. On a computer $e^{1000}$ overflows to infinity; after the subtraction, the largest exponential is $e^0 = 1$.
"""

# %%
print("softmax(z + 1000) =", (logits + 1000).softmax().data.round(4))
with np.errstate(over="ignore"):
    print("exp(1000) =", np.exp(1000.0))

# %% [markdown] lang="ko"
r"""
(cross-entropy)=
## 3. 놀라움, 교차 엔트로피, 엔트로피

다음 단어로 실제로 나온 것은 "sat"입니다. 확률이 $p$인 사건이 일어났을 때의 **놀라움**(surprise, 정보량)은 $-\ln p$입니다. 확률이 1이면
놀라움은 0이고, 확률이 작을수록 커집니다. 서로 독립인 두 사건의 확률은 곱해지고 놀라움은 더해집니다. 로그를 쓰는 이유가 이것입니다.

실제 분포가 $q$, 모델의 분포가 $p$일 때 평균 놀라움이 **교차 엔트로피**이고, $p = q$일 때의 값이 **엔트로피**(entropy)입니다.

$$H(q, p) = -\sum_i q_i \ln p_i \qquad \ge\; H(q) = -\sum_i q_i \ln q_i$$

이 부등식은 $\ln t \le t - 1$에서 나옵니다. $\sum_i q_i \ln \frac{p_i}{q_i} \le \sum_i q_i \left(\frac{p_i}{q_i} - 1\right) \le 1 - 1 = 0$.
즉 어떤 모델도 엔트로피보다 낮은 손실을 낼 수 없습니다. 실제로 나온 단어가 $t$ 하나이면 $q_t = 1$이고 나머지는 0이므로

$$L = H(q, p) = -\ln p_t .$$
"""

# %% [markdown] lang="en"
r"""
(cross-entropy)=
## 3. Surprise, cross entropy, entropy

The actual next word is "sat". The **surprise** of an event with probability $p$ is $-\ln p$: 0 for a certain event, and larger the
less likely the event was. Probabilities of independent events multiply, and surprises add; that is why we use a logarithm.

If $q$ is the true distribution and $p$ the model's, the mean surprise is the **cross entropy**; its value for $p = q$ is the **entropy**.

$$H(q, p) = -\sum_i q_i \ln p_i \qquad \ge\; H(q) = -\sum_i q_i \ln q_i$$

The inequality follows from $\ln t \le t - 1$: $\sum_i q_i \ln \frac{p_i}{q_i} \le \sum_i q_i \left(\frac{p_i}{q_i} - 1\right) \le 1 - 1 = 0$.
So no model can have a loss below the entropy. If the actual word is $t$, then $q_t = 1$ and all other $q_i$ are 0, so

$$L = H(q, p) = -\ln p_t .$$
"""

# %%
loss = cross_entropy(logits, targets=np.array(target))
print(f"−ln {p[target]:.4f} = {loss:.4f}     ln 4 = {np.log(4):.4f}")
q = np.array([0.2, 0.1, 0.6, 0.1])
print(f"H(q, p) = {-(q * np.log(p)).sum():.4f} ≥ H(q) = {-(q * np.log(q)).sum():.4f}")

# %% [markdown] lang="ko"
r"""
(softmax-minus-one-hot)=
## 4. 기울기: 예측 − 정답

$L = -\ln p_t = -z_t + \ln \sum_k e^{z_k}$를 $z_i$로 미분합니다. 합성함수의 미분법에 의해

$$\frac{\partial L}{\partial z_i} = -[i = t] + \frac{e^{z_i}}{\sum_k e^{z_k}} = p_i - [i = t].$$

$[i = t]$는 $i = t$일 때 1, 아니면 0입니다. 이렇게 정답 단어의 성분만 1이고 나머지는 0인 벡터를 **원-핫**(one-hot) 벡터라고 합니다.
"""

# %% [markdown] lang="en"
r"""
(softmax-minus-one-hot)=
## 4. The gradient: prediction − truth

Differentiate $L = -\ln p_t = -z_t + \ln \sum_k e^{z_k}$ with respect to $z_i$. By the chain rule

$$\frac{\partial L}{\partial z_i} = -[i = t] + \frac{e^{z_i}}{\sum_k e^{z_k}} = p_i - [i = t],$$

where $[i = t]$ is 1 for the actual word and 0 for the others: a **one-hot** vector.
"""

# %%
loss.backward()
happened = np.eye(4)[target]
table(("p", p), ("[i = t]", happened), ("p − [i=t]", p - happened), ("grad", logits.grad))
print(f"\nΣ grad = {abs(logits.grad.sum()):.0f}")

# %% [markdown] lang="ko"
r"""
합이 0입니다. 한 단어의 확률이 커지는 만큼 다른 단어들의 확률이 작아집니다.

**생각해 보세요.** 모델이 정답 단어의 확률을 이미 0.99로 예측했습니다. 정답 단어의 로짓이 받는 기울기는 얼마입니까?

```{choose} 3
0.99
: 예측만 있고 정답을 빼지 않았습니다.

0
: 확률이 정확히 1일 때만 0입니다. 그러나 거의 0에 가깝다는 점은 맞습니다.

−0.01
: $p_t - 1 = 0.99 - 1 = -0.01$입니다. 이미 맞힌 단어에서는 배울 것이 거의 없고, 로짓은 아주 조금만 커집니다.
```

```{player} loss
```

이 기울기의 반대 방향으로 움직이면 놀라움은 처음에는 빨리, 나중에는 천천히 줄어듭니다.
"""

# %% [markdown] lang="en"
r"""
They add up to 0: what one word gains in probability, the others lose.

**Think first.** A model already gives the actual word a probability of 0.99. What is the gradient of that word's logit?

```{choose} 3
0.99
: This is the prediction without subtracting the truth.

0
: It is exactly 0 only if the probability is exactly 1. But it is true that it is close to 0.

−0.01
: $p_t - 1 = 0.99 - 1 = -0.01$. There is almost nothing to learn from a word that was predicted well, and the logit grows only a little.
```

```{player} loss
```

Moving step by step in the opposite direction reduces the surprise, fast at first and then slowly:
"""

# %%
for step in range(9):
    logits.grad = None
    loss = cross_entropy(logits, targets=np.array(target))
    loss.backward()
    if step % 2 == 0:
        print(f"{step}   P(sat) = {np.exp(-loss.item()):.4f}   L = {loss:.4f}")
    logits.data = logits.data - 1.0 * logits.grad

# %% [markdown] lang="ko"
r"""
(perplexity)=
## 5. 퍼플렉시티

글 전체의 손실은 놀라움의 평균입니다. 여기에 지수함수를 취한 $e^L$이 **퍼플렉시티**(perplexity, 혼란도)입니다. 모델이 단어 몇 개 중 하나를
무작위로 찍는 것과 같은지를 나타냅니다. 아래는 단어 세 개로 계산한 예이고, 그중 하나는 맞히기 어렵습니다.

$$\text{PPL} = \exp\Bigl(-\frac{1}{T} \sum_{t=1}^{T} \ln P(w_t \mid w_{<t})\Bigr)$$
"""

# %% [markdown] lang="en"
r"""
(perplexity)=
## 5. Perplexity

The loss of a text is the mean surprise, and $e^L$ is the **perplexity**: the number of words among which a random guess would be as
good. The example has three words, one of them hard to predict.

$$\text{PPL} = \exp\Bigl(-\frac{1}{T} \sum_{t=1}^{T} \ln P(w_t \mid w_{<t})\Bigr)$$
"""

# %%
text = Tensor([[1.0, 0.5, 3.0, -1.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])
came = np.array([WORDS.index(word) for word in ("sat", "dog", "cat")])
surprises = -text.log_softmax().data[np.arange(3), came]
mean = cross_entropy(text, targets=came).item()
print(f"−ln p = {surprises.round(4)}   L = {mean:.4f}   PPL = {np.exp(mean):.2f}")

# %% [markdown] lang="ko"
r"""
```{run}
from autolm import Value

z = [Value(1.0), Value(0.5), Value(3.0), Value(-1.0)]
e = [x.exp() for x in z]
total = Value.sum(e)
p = [x / total for x in e]
loss = -p[2].log()
loss.backward()
print([round(x.data, 4) for x in p])
print([round(x.grad, 4) for x in z])
```

## 연습문제

**1. 값을 예측하세요.** 단어가 50개일 때, 무작위로 찍는 모델의 퍼플렉시티는 얼마입니까?

```{predict} np.exp(np.log(50))

모든 단어의 확률이 $1/50$이면 손실은 $\ln 50$입니다.

$e^{\ln 50} = 50$. 단어 50개 중 하나를 무작위로 찍는 것과 같습니다.
```

**2. 규칙을 쓰세요.** 점수가 두 개일 때 첫 단어의 손실은 $L = -\ln \dfrac{e^a}{e^a + e^b}$입니다. 기울기를 쓰세요.

```{exercise} surprise
a와 b의 기울기를 더하면 얼마가 되어야 합니까?
a의 기울기는 예측 − 정답, 즉 p − 1입니다.
```

**3. 만들어 보세요.** 점수의 리스트 `z`에서 확률 `softmax(z)`, 정답 번호가 `target`일 때의 손실 `loss(z, target)`, 그 기울기 `gradient(z, target)`을 쓰세요. 점수가 1000이어도 맞아야 합니다.

```{build} softmax_loss
2절: 최댓값을 빼세요.
손실은 확률의 로그를 취하지 말고 로그-소프트맥스로 구하세요.
기울기는 예측 − 정답입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{run}
from autolm import Value

z = [Value(1.0), Value(0.5), Value(3.0), Value(-1.0)]
e = [x.exp() for x in z]
total = Value.sum(e)
p = [x / total for x in e]
loss = -p[2].log()
loss.backward()
print([round(x.data, 4) for x in p])
print([round(x.grad, 4) for x in z])
```

## Exercises

**1. Predict.** What is the perplexity of a model that guesses at random among 50 words?

```{predict} np.exp(np.log(50))

If every word has probability $1/50$, the loss is $\ln 50$.

$e^{\ln 50} = 50$: the model picks one of 50 words at random.
```

**2. Write the rule.** With two scores, the loss for the first word is $L = -\ln \dfrac{e^a}{e^a + e^b}$. Write its gradient.

```{exercise} surprise
What must the gradients of a and b add up to?
The gradient of a is prediction − truth: p − 1.
```

**3. Build it.** For a list of scores `z`, write the probabilities `softmax(z)`, the loss `loss(z, target)` for the word with number `target`, and its gradient `gradient(z, target)`. They must also be right for a score of 1000.

```{build} softmax_loss
Section 2: subtract the largest score.
Compute the loss by log-softmax, not by the logarithm of a probability.
The gradient is prediction − truth.
```
"""
