# %% [markdown] lang="ko"
r"""
# 26강: 여러 작업자가 나누어 학습하기

모델이 한 대의 기계보다 커지면 여러 **작업자**(worker)가 함께 학습합니다. 작업자마다 배치의 행 몇 개를 맡아 기울기를 구하고, 그 기울기를 평균합니다. 그 평균은 언제 배치 전체의
기울기와 같을까요? 작업자는 각각 무엇을 가지고 있어야 할까요? 이 강의에서는 작업자를 반복문으로 흉내 냅니다. 실제로 여러 프로세스로 학습하려면 torchrun으로 `autolm train --engine torch`를 실행합니다.

(growing-mean)=
## 1. 평균의 평균은 전체 평균이 아닙니다

작업자 $w$의 손실의 합을 $S_w$, 예측할 토큰의 수를 $n_w$라 하면, 배치 전체의 손실은 다음과 같습니다.

$$L = \frac{\sum_w S_w}{\sum_w n_w}$$

작업자마다 자기 평균 $S_w / n_w$의 기울기를 구해서 평균하면, 토큰이 적은 작업자와 많은 작업자가 같은 비중을 갖습니다. 작업자가 $W$개일 때
$S_w \cdot W / \sum_w n_w$를 손실로 쓰면 평균이 정확히 $L$이 됩니다.

$$\frac{1}{W} \sum_w \frac{S_w \cdot W}{\sum_v n_v} = L$$
"""

# %% [markdown] lang="en"
r"""
# Lesson 26: training with several workers

A model that is too large for one machine is trained by several **workers**. Each takes some rows of the batch, and the gradients are averaged. When does this average equal the gradient
of the whole batch, and what must each worker store? Here we simulate workers by a loop; `autolm train --engine torch` under torchrun uses real processes.

(growing-mean)=
## 1. The mean of means is not the mean

Write $S_w$ for the sum of the losses of worker $w$, and $n_w$ for the number of tokens that it predicts. The loss of the whole batch is

$$L = \frac{\sum_w S_w}{\sum_w n_w}$$

If each worker takes the gradient of its own mean $S_w / n_w$ and these are averaged, a worker with few tokens counts as much as one with many. If each of the $W$ workers
uses $S_w \cdot W / \sum_w n_w$ as its loss, the average is exactly $L$:

$$\frac{1}{W} \sum_w \frac{S_w \cdot W}{\sum_v n_v} = L$$
"""

# %%
import numpy as np

from autolm import TinyLM
from autolm.lm.size import GPT3, parts

WORKERS, IGNORED = 3, -1
rng = np.random.default_rng(0)
inputs, targets = rng.integers(9, size=(2, 5, 8))
targets[1, 3:] = targets[4, 1:] = IGNORED
model = TinyLM(9, 16, 2, 32, 2, dtype="float64", seed=0)


def gradient(rows):
    model.zero_grad()
    model.compute_loss(inputs[rows], targets[rows]).backward()
    grads = {path: parameter.grad for path, parameter in model.named_parameters()}
    return grads, np.count_nonzero(targets[rows] != IGNORED)


def apart(some):
    difference = sum(float(((some[path] - whole[path]) ** 2).sum()) for path in whole)
    return (difference / sum(float((grad**2).sum()) for grad in whole.values())) ** 0.5


whole, counted = gradient(np.arange(5))
shares = [gradient(rows) for rows in np.array_split(np.arange(5), WORKERS)]
mean_of_means = {path: sum(g[path] for g, _ in shares) / WORKERS for path in whole}
exact = {
    path: sum(g[path] * (n * WORKERS / counted) for g, n in shares) / WORKERS for path in whole
}
print("n:", *(n for _, n in shares), "Σ:", counted)
print(f"S/n: {apart(mean_of_means):.1%}   S·W/Σn: {'< 1e-14' if apart(exact) < 1e-14 else '!'}")

# %% [markdown] lang="ko"
r"""
평균의 평균을 쓰면 기울기가 눈에 띄게 달라지는데도 오류 없이 학습되고 손실도 줄어듭니다. 다만 다른 모델이 됩니다. 그래서 모든 작업자는 *배치 전체*의 크기를
알아야 합니다.

(growing-memory)=
## 2. 작업자가 가져야 하는 것

파라미터 하나마다 4바이트 수가 네 개입니다. 파라미터, 기울기, Adam의 두 모멘트입니다. **DDP**(distributed data parallel)에서는 모두가 전부를 가지고,
**FSDP**(fully sharded data parallel)에서는 자기 몫과, 잠깐 동안 한 층의 가중치와 기울기만 가집니다. GPT-3의 크기로 계산해 봅시다.
"""

# %% [markdown] lang="en"
r"""
A mean of means changes the gradient noticeably, but nothing fails and the loss decreases. You just get a different model. So every worker must know the size of the
*whole* batch.

(growing-memory)=
## 2. What a worker must store

Each parameter takes four numbers of 4 bytes: itself, its gradient, and Adam's two moments. With **DDP** (distributed data parallel) every worker stores everything; with **FSDP** (fully sharded data parallel) it stores its share, and temporarily the weights and the gradient of one layer. For the size of GPT-3:
"""

# %%
parameters = sum(part.parameters for part in parts(GPT3))
block = sum(p.parameters for p in parts(GPT3) if p.name in ("attention", "feed_forward"))
layer = 2 * 4 * block / GPT3.num_layers
for workers in (1, 8, 64, 512, 4096):
    ddp, fsdp = 16 * parameters, 16 * parameters / workers + layer
    traffic = 3 * 4 * parameters * (1 - 1 / workers)
    print(
        f"W {workers:4}   DDP {ddp / 1e9:5.0f} GB   FSDP {fsdp / 1e9:6.1f} GB   → {traffic / 1e9:5.0f} GB"
    )

# %% [markdown] lang="ko"
r"""
작업자를 늘려도 곧 효과가 없어집니다. 한 층은 작아지지 않고, 주고받는 양도 줄지 않기 때문입니다. 그다음에는 층 자체를 나누어야 합니다.
`autolm info --workers N`은 어떤 모델이든 이렇게 계산해 줍니다.

## 들여다보기

작업자 두 개의 배치를 `Value`로 계산한 것입니다. 두 행에 토큰이 6개와 2개 있고, 토큰마다 손실에 $1/8$씩 들어갑니다.
"""

# %% [markdown] lang="en"
r"""
More workers soon stop helping: neither the size of a layer nor the amount of communication decreases. Then the layers themselves must be split.
`autolm info --workers N` computes this for any model.

## Look into it

The batch of two workers, computed with Values: the rows have 6 and 2 tokens, and each token contributes $1/8$ of its own loss.
"""

# %%
from autolm import Value

rate = Value(0.5, name="w")
rows = [[0.2, 0.4, 0.1, 0.9, 0.3, 0.5], [1.5, 1.1]]  # what each token should be
sums = [Value.sum((rate - target) ** 2 for target in row) for row in rows]
shared = Value.sum(sums) / sum(map(len, rows))

# %% [markdown] lang="ko"
r"""
```{player} shared
```

## 직접 실행하기

```{run}
from autolm import Value

rows = [[0.2, 0.4, 0.1, 0.9, 0.3, 0.5], [1.5, 1.1]]

def gradient(loss_of):
    w = Value(0.5)
    loss_of(w).backward()
    return w.grad

def S(w, row):
    return Value.sum([(w - target) ** 2 for target in row])

whole = gradient(lambda w: (S(w, rows[0]) + S(w, rows[1])) / 8)
means = [gradient(lambda w: S(w, row) / len(row)) for row in rows]
exact = [gradient(lambda w: S(w, row) * 2 / 8) for row in rows]
print("batch        ", round(whole, 6))
print("mean of means", round(sum(means) / 2, 6))
print("S·W/Σn       ", round(sum(exact) / 2, 6))
```

## 연습문제

**1. 값을 예측하세요.** 작업자가 두 개이고 $n_1 = 6$, $n_2 = 2$, $S_1 = 12$, $S_2 = 2$입니다. 배치 전체의 손실 $L$은 얼마입니까?

```{predict} (12 + 2) / (6 + 2)

$L$은 합계를 토큰 수로 나눈 것입니다. 평균의 평균이 아닙니다.

$(12 + 2)/(6 + 2) = 14/8 = 1.75$.
```

**2. 설명하세요.** 같은 수로 평균의 평균을 구하면 얼마이고, 왜 다릅니까?

```{answer}
$(12/6 + 2/2) / 2 = 1.5$입니다. 토큰이 2개인 두 번째 작업자와 6개인 첫 번째 작업자가 같은 비중을 갖기 때문입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} shared
```

## Run it yourself

```{run}
from autolm import Value

rows = [[0.2, 0.4, 0.1, 0.9, 0.3, 0.5], [1.5, 1.1]]

def gradient(loss_of):
    w = Value(0.5)
    loss_of(w).backward()
    return w.grad

def S(w, row):
    return Value.sum([(w - target) ** 2 for target in row])

whole = gradient(lambda w: (S(w, rows[0]) + S(w, rows[1])) / 8)
means = [gradient(lambda w: S(w, row) / len(row)) for row in rows]
exact = [gradient(lambda w: S(w, row) * 2 / 8) for row in rows]
print("batch        ", round(whole, 6))
print("mean of means", round(sum(means) / 2, 6))
print("S·W/Σn       ", round(sum(exact) / 2, 6))
```

## Exercises

**1. Predict.** Two workers have $n_1 = 6$, $n_2 = 2$, $S_1 = 12$, $S_2 = 2$. What is the loss $L$ of the whole batch?

```{predict} (12 + 2) / (6 + 2)

$L$ is the total divided by the number of tokens, not the mean of the means.

$(12 + 2)/(6 + 2) = 14/8 = 1.75$.
```

**2. Explain.** What is the mean of means of the same numbers, and why does it differ?

```{answer}
$(12/6 + 2/2) / 2 = 1.5$: the second worker, with two tokens, counts as much as the first with six.
```
"""
