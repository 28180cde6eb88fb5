# %% [markdown] lang="ko"
r"""
# 25강: 같은 수를 더 빠르게 계산하기

부록입니다. 관심이 없다면 건너뛰어도 됩니다. `microgpt.py`(폴더 `demos`)는 숫자 하나하나로 만든 작은 GPT이고, 사람 이름 목록을 글자 단위로 배워 새 이름을 지어냅니다.
학습 한 걸음의 시간은 대부분 그래프를 **기록**하는 데 듭니다. 그런데 길이가 같은 이름은 그래프도 같습니다. 글자를 원-핫 벡터로 주면 됩니다. 임베딩의 행을 고르는 것은
원-핫 벡터에 행렬을 곱하는 것과 같기 때문입니다. `Tape`는 한 번 기록한 그래프의 계산을 네이티브 코드로 다시 합니다. numba(추가 패키지 `fast`)가 있으면 그래프를 매번 만들 때보다
백 배쯤 빠르고, 없으면 파이썬으로 계산하므로 열 배쯤 느립니다. 이 페이지의 출력은 numba 없이 실행한 것일 수 있습니다.

    python demos/25_native_microgpt.py names.txt

(record-once)=
## 1. 한 번 기록하고, 여러 번 계산하기
"""

# %% [markdown] lang="en"
r"""
# Lesson 25: the same numbers, faster

This is an appendix; you can skip it. `microgpt.py` (in the folder `demos`) is a small GPT made of single numbers. It learns a list of people's names letter by letter, and makes up new ones.
Most of the time of a step goes into **recording** the graph, yet names of the same length have the same graph if letters are given as one-hot vectors: selecting a row of the embedding
equals multiplying a one-hot vector by it. A `Tape` repeats the arithmetic of a recorded graph in native code. With numba (extra `fast`) this is about a hundred times faster than
building the graph each time; without it, Python does the arithmetic, about ten times slower. The output of this page may come from a run without numba.

    python demos/25_native_microgpt.py names.txt

(record-once)=
## 1. Record once, compute many times
"""

# %%
import random
import sys
from itertools import chain, islice, pairwise
from time import perf_counter

import microgpt
import numpy as np

from autolm import Adam, Tape, Tensor, Value


class Lookup(list):
    """A matrix whose row is chosen by a number, or else by numbers: Σ onehotᵢ · rowᵢ."""

    def __getitem__(self, row):
        if isinstance(row, int):
            return super().__getitem__(row)
        return [Value.dot(row, column) for column in zip(*self, strict=True)]


def record(model, one_hots):
    """Record the loss of a name; return it, its tape, and which of all parameters it has."""
    letters = [[Value(x, requires_grad=False) for x in row] for row in one_hots.tolist()]
    read = model.reader()
    guesses = [(microgpt.softmax(read(now)), after) for now, after in pairwise(letters)]
    loss = Value.sum(-Value.dot(*guess).log() for guess in guesses) / len(guesses)
    unread = set(chain(*model.positions[len(guesses) :]))
    used = np.array([parameter not in unread for parameter in model.parameters])
    trained = [model.parameters[i] for i in np.flatnonzero(used)]
    return loss, Tape(loss, inputs=[*chain(*letters)], parameters=trained), used


def train(model, names):
    """Learn one name a step, natively; yield its loss, as a number and as a graph, and its tape."""
    model.tokens = Lookup(model.tokens)
    weights = Tensor([parameter.data for parameter in model.parameters])
    adam = Adam([weights], microgpt.LEARNING_RATE, betas=(microgpt.BETA1, microgpt.BETA2))
    graphs, one_hot, steps = {}, np.eye(len(model.tokens)), microgpt.STEPS
    for step in range(steps):
        inner = map(model.alphabet.index, names[step % len(names)])
        letters = one_hot[[model.boundary, *inner, model.boundary][: microgpt.CONTEXT + 1]]
        if len(letters) not in graphs:
            graphs[len(letters)] = record(model, letters)
        loss, tape, used = graphs[len(letters)]
        tape.parameters[:] = weights.data[used]
        number, gradient = tape.forward(letters), np.zeros(len(used))
        gradient[used] = tape.backward()
        weights.grad, adam.learning_rate = gradient, microgpt.LEARNING_RATE * (1 - step / steps)
        adam.step()
        yield number, loss, tape
    for parameter, weight in zip(model.parameters, weights.data.tolist(), strict=True):
        parameter.data = weight


# %% [markdown] lang="ko"
r"""
(native-losses)=
## 2. 학습

이름 하나가 한 걸음입니다. 첫 스무 걸음의 손실과, 배운 뒤에 지어낸 이름들입니다. `is_script`는 노트북과 터미널 중 어디서 실행되는지를 봅니다.
"""

# %% [markdown] lang="en"
r"""
(native-losses)=
## 2. Train

One step learns one name. Here are the first twenty losses, and names that the trained model makes up. `is_script` tells a terminal from a notebook.
"""

# %% tags=["varies"]
if __name__ == "__main__":
    is_script = sys.argv[0].endswith("25_native_microgpt.py")
    file = sys.argv[1] if is_script and sys.argv[1:] else None
    names = microgpt.read_names(file) if file else microgpt.NAMES.split()
    random.seed(42)
    random.shuffle(names)
    model, start = microgpt.MicroGPT(sorted(set("".join(names)))), perf_counter()
    losses, roots, tapes = zip(*train(model, names), strict=True)
    how = "numba" if tapes[-1].native else "Python"
    print(f"{how}: {len(losses)} steps, {perf_counter() - start:.1f} s\n")
    print("\n".join(" ".join(f"{x:.4f}" for x in losses[i : i + 5]) for i in (0, 5, 10, 15)))
    print(f"… {losses[-1]:.4f}\n")
    print(*(model.sample(temperature=0.5) for _ in range(8)))

# %% [markdown] lang="ko"
r"""
(write-back)=
## 3. 계산 결과를 그래프에 되돌려 쓰기

테이프의 수를 그래프에 되돌려 쓰면, 마지막 손실을 한 단계씩 따라가고 그릴 수 있습니다. 피연산자가 하나나 둘인 단계의 처음 넷입니다.
"""

# %% [markdown] lang="en"
r"""
(write-back)=
## 3. Write the results back into the graph

Once the numbers are written back into the graph, the last loss can be stepped through and drawn. Here are the first four steps with one or two operands.
"""

# %% tags=["varies"]
if __name__ == "__main__":
    print(len(tapes[-1]))
    tapes[-1].write_back()
    print(*islice((s for s in roots[-1].steps() if len(s.contributions) < 3), 4), sep="\n")

# %% [markdown] lang="ko"
r"""
## 들여다보기

이름 하나의 손실이 수천 개의 노드입니다. 모듈 단위로 따라가고, 모듈을 누르면 열립니다.

```{player} roots[-1]
```

## 직접 실행하기

```{run}
from autolm import Value

matrix = [[Value(10.0 * row + column) for column in range(3)] for row in range(4)]
one_hot = [0.0, 0.0, 1.0, 0.0]
row = [Value.dot(one_hot, column) for column in zip(*matrix)]
print([x.data for x in row], [x.data for x in matrix[2]])
row[1].backward()
print([[x.grad for x in each] for each in matrix])
```

## 연습문제

**1. 값을 예측하세요.** 글자가 27개(경계 포함)일 때, 무작위로 찍는 모델의 손실 $\ln 27$은 얼마입니까?

```{predict} np.log(27)

$\ln 27 = 3 \ln 3$이고 $\ln 3 \approx 1.1$입니다.

$3 \cdot 1.0986 \approx 3.3$.
```

**2. 그려서 설명하세요.** 왜 길이가 같은 두 이름의 그래프는 같고, 길이가 다르면 다릅니까?

```{answer}
글자는 그래프의 **입력**(원-핫 벡터의 수)으로만 들어갑니다. 연산의 수는 위치의 수, 즉 이름의 길이에만 달려 있습니다. 그래서 길이마다 한 번만
기록합니다.
```
"""

# %% [markdown] lang="en"
r"""
## Look into it

The loss of one name has thousands of nodes. Step module by module; click a module to open it.

```{player} roots[-1]
```

## Run it yourself

```{run}
from autolm import Value

matrix = [[Value(10.0 * row + column) for column in range(3)] for row in range(4)]
one_hot = [0.0, 0.0, 1.0, 0.0]
row = [Value.dot(one_hot, column) for column in zip(*matrix)]
print([x.data for x in row], [x.data for x in matrix[2]])
row[1].backward()
print([[x.grad for x in each] for each in matrix])
```

## Exercises

**1. Predict.** With 27 characters (including the boundary), what is the loss $\ln 27$ of a random guess?

```{predict} np.log(27)

$\ln 27 = 3 \ln 3$, and $\ln 3 \approx 1.1$.

$3 \cdot 1.0986 \approx 3.3$.
```

**2. Draw and explain.** Why do two names of the same length have the same graph, and names of different lengths not?

```{answer}
Letters are only **inputs** of the graph, the numbers of one-hot vectors. How many operations there are depends on the number of positions alone,
which is the name's length: so each length is recorded once.
```
"""
