# %% [markdown] lang="ko"
r"""
# 26강: 여러 작업자가 나누어도 같은 한 걸음

모델이 한 대의 기계보다 커지면 여러 **작업자**(worker)가 함께 학습합니다. 저마다 배치의 행 몇 개를 맡고, 기울기의 평균을 냅니다. 그 평균은 언제 배치 전체의
기울기와 같을까요? 작업자는 각각 무엇을 가지고 있어야 할까요? 이 강의에서 작업자는 반복문이고, 진짜 작업자는 torchrun 아래의 `autolm train --engine torch`입니다.

(growing-mean)=
## 1. 평균의 평균은 평균이 아니다

작업자 $w$의 손실의 합을 $S_w$, 예측할 토큰의 수를 $n_w$라 합시다. 배치 전체의 손실은

$$L = \frac{\sum_w S_w}{\sum_w n_w}$$

입니다. 작업자가 저마다 자기 평균 $S_w / n_w$의 기울기를 구하고 그것을 평균하면, 토큰이 적은 행도 많은 행과 똑같이 세어집니다. 작업자가 $W$명일 때
$S_w \cdot W / \sum_w n_w$를 손실로 삼으면 평균이 정확히 $L$이 됩니다.

$$\frac{1}{W} \sum_w \frac{S_w \cdot W}{\sum_v n_v} = L$$
"""

# %% [markdown] lang="en"
r"""
# Lesson 26: a step that several workers share is the same step

A model that outgrows one machine is trained by several **workers**. Each takes some rows of the batch, and their gradients are averaged. When is that average
the gradient of the whole batch? And what must each worker hold? Here workers are a loop; `autolm train --engine torch` under torchrun has real ones.

(growing-mean)=
## 1. A mean of means is not the mean

Let $S_w$ be the sum of the losses of worker $w$, and $n_w$ how many tokens it predicts. The loss of the whole batch is

$$L = \frac{\sum_w S_w}{\sum_w n_w}$$

If each worker takes the gradient of its own mean $S_w / n_w$ and those are averaged, a row with little in it counts as much as a full one. If, of $W$ workers,
each takes $S_w \cdot W / \sum_w n_w$ as its loss, the average is exactly $L$:

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
평균의 평균은 기울기를 눈에 띄게 바꾸지만 아무것도 실패하지 않고 손실도 줄어듭니다. 다른 모델이 될 뿐입니다. 그래서 모든 작업자는 *배치 전체*의 크기를
알아야 합니다.

(growing-memory)=
## 2. 작업자가 가져야 하는 것

파라미터 하나마다 4바이트 수가 네 개입니다. 파라미터, 기울기, Adam의 두 모멘트입니다. **DDP**(distributed data parallel)에서는 모두가 전부를 가지고,
**FSDP**(fully sharded data parallel)에서는 자기 몫과, 잠깐 동안 한 층의 가중치와 기울기만 가집니다. GPT-3의 크기로 셈해 봅시다.
"""

# %% [markdown] lang="en"
r"""
A mean of means changes the gradient visibly; and yet nothing fails, and the loss falls. Only the model is another. So every worker must know the size of the
*whole* batch.

(growing-memory)=
## 2. What a worker must hold

Each parameter takes four numbers of 4 bytes: itself, its gradient, and Adam's two moments. With **DDP** (distributed data parallel) everybody holds everything;
with **FSDP** (fully sharded data parallel) a share, and for a moment the weights and the gradient of one layer. At GPT-3's size:
"""

# %%
parameters = sum(part.parameters for part in parts(GPT3))
block = sum(p.parameters for p in parts(GPT3) if p.name in ("attention", "feed_forward"))
layer = 2 * 4 * block / GPT3.num_layers
for workers in (1, 8, 64, 512, 4096):
    ddp, fsdp = 16 * parameters, 16 * parameters / workers + layer
    sent = 3 * 4 * parameters * (1 - 1 / workers)
    print(
        f"W {workers:4}   DDP {ddp / 1e9:5.0f} GB   FSDP {fsdp / 1e9:6.1f} GB   → {sent / 1e9:5.0f} GB"
    )

# %% [markdown] lang="ko"
r"""
작업자가 늘어도 곧 도움이 되지 않습니다. 한 층은 작아지지 않고, 주고받는 양도 줄지 않기 때문입니다. 그다음에는 층 자체를 나누어야 합니다.
`autolm info --workers N`은 어떤 모델이든 이렇게 셈해 줍니다.

## 들여다보기

작업자 두 명의 배치를 수 하나씩으로 쓴 것입니다. 길이가 다른 두 행의 토큰 여섯과 둘이 손실에 저마다 $1/8$씩 들어갑니다.
"""

# %% [markdown] lang="en"
r"""
More workers soon stop helping: a layer does not get smaller, and what is sent does not either. Beyond that, layers themselves must be cut.
`autolm info --workers N` reckons so for any model.

## Look into it

A batch of two workers, in single numbers: each token of both rows, six and two, has its $1/8$ in the loss.
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

**1. 값을 예측하세요.** 작업자가 두 명이고 $n_1 = 6$, $n_2 = 2$, $S_1 = 12$, $S_2 = 2$입니다. 배치 전체의 손실 $L$은 얼마입니까?

```{predict} (12 + 2) / (6 + 2)

$L$은 합계를 토큰 수로 나눈 것입니다. 평균의 평균이 아닙니다.

$(12 + 2)/(6 + 2) = 14/8 = 1.75$.
```

**2. 설명하세요.** 같은 수로 평균의 평균을 구하면 얼마이고, 왜 다릅니까?

```{answer}
$(12/6 + 2/2) / 2 = 1.5$입니다. 토큰이 둘뿐인 두 번째 작업자가 여섯인 첫 번째와 똑같이 세어지기 때문입니다.
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
