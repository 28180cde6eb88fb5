# %% [markdown] lang="ko"
r"""
# 11강: 역전파 전체

9강의 모델 전체를 거꾸로 따라갑니다. 손실에서 시작해 모든 파라미터까지, 연산을 하나씩 지나갑니다. 각 연산은 자기 결과에 대한 손실의 기울기
(위에서 온 기울기 $\bar g$)를 받아, 각 입력에 대한 손실의 기울기를 계산해서 보냅니다.

(backward-start)=
## 1. 손실에서 시작

시작은 $\partial L/\partial L = 1$입니다. 마지막 연산부터 순서대로, 연산 아래에 $\bar g$와 각 입력에 보내는 값이 있습니다.
값이 배열이므로 모양, 크기(노름 ‖·‖), 첫 원소를 보여 줍니다. `+`는 그 자리에 이미 온 값에 더해진다는 뜻입니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 11: the whole backward pass

We go back through the whole model of lesson 9, one operation at a time, from the loss to every parameter. Each operation receives the gradient
of the loss with respect to its result (the upstream gradient $\bar g$) and computes from it the gradient with respect to each of its inputs.

(backward-start)=
## 1. Start at the loss

The start is $\partial L/\partial L = 1$. Operations are listed from last to first, each with its $\bar g$ and the gradient that it sends to each input: shape,
norm ‖·‖ and first element of the array. `+` means that it is added to a gradient that is there already.
"""

# %% tags=["scroll-output"]
import numpy as np

from autolm import TinyLM, topological_order
from autolm.lm.text_loss import tokens_of

VOCABULARY = ["cat", "down", "mat", "sat", "the"]
TOKENS, TARGETS = [4, 0, 3], [0, 3, 1]  # "the cat sat" → "cat sat down"


def glance(array):
    """Show an array by its shape, its length, and its first number."""
    shape = "×".join(map(str, array.shape)) or "1"
    return f"{shape:>6}   ‖·‖ {np.linalg.norm(array):6.4f}   [0] {array.flat[0]:+.4f}"


model = TinyLM(5, 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
loss = model.compute_loss(TOKENS, TARGETS)
read = tokens_of(loss, VOCABULARY)
print(f"L = {loss:.6f}")
scope = None
for step in loss.steps():
    if step.node.scope != scope:
        scope = step.node.scope
        print(f"── {scope or 'TinyLM'} ".ljust(78, "─"))
    print(f"{step.index + 1:3}. {step.node.op.name}:  {step.node.op.formula}")
    print(f"     {'ḡ':<32}{glance(step.upstream)}")
    for contribution, rule in zip(step.contributions, step.rule, strict=True):
        if contribution.parent.requires_grad:
            name = contribution.parent.name.rpartition(".")[2] or contribution.parent.op.symbol
            print(
                f"     → {name:<30}{glance(contribution.value)}{' +' if contribution.before is not None else ''}"
            )
            print(f"       {rule}")

# %% [markdown] lang="ko"
r"""
(backward-order)=
## 2. 순서를 읽기

| 거꾸로 | 규칙 | 유도 |
| --- | --- | --- |
| 교차 엔트로피 + 소프트맥스 | $\bar z = (p - y)/T$, $\;T$는 토큰의 수 | [5강](#softmax-minus-one-hot) |
| $W_{\text{out}}$ | $\bar W_{\text{out}} = \hat x^{\mathsf T} \bar z, \quad \bar{\hat x} = \bar z W_{\text{out}}^{\mathsf T}$ | [3강](#matrix-product-backward) |
| 층 정규화 | $\bar x = \frac{1}{\sigma}\bigl(h - \langle h\rangle - \hat x \langle h \odot \hat x\rangle\bigr),\; h = \gamma \odot \bar y$ | [10강](#layer-norm-derivation) |
| 잔차 | $\bar x = \bar y + (\text{가지에서 온 값})$ | [10강](#residual-derivation) |
| $W_2$, ReLU, $W_1$ | $\bar W_2 = h^{\mathsf T} \bar y, \quad \bar a = \bar h \odot [a > 0], \quad \bar W_1 = \hat x^{\mathsf T} \bar a$ | [3강](#matrix-product-backward) |
| $W_O$, $W_V$, $W_K$, $W_Q$ | 행렬곱과 소프트맥스의 규칙 | [10강](#attention-derivation) |
| $\gamma$, $\beta$ | $\bar\gamma = \sum \bar y \odot \hat x, \quad \bar\beta = \sum \bar y$ (합은 토큰에 대해) | [10강](#layer-norm-derivation) |
| 임베딩 | 쓰인 행에 더하기 | [아래](#embedding-gradient) |

$\langle\cdot\rangle$는 한 행의 평균입니다. 잔차 연결에서 경로는 둘로 갈라집니다. 하나는 어텐션이나 피드포워드를 거치고, 하나는 거치지 않습니다. 두 경로에서 온
기울기는 더해집니다.

```{player} loss, tokens=read
```

**생각해 보세요.** 목록에서 `+`가 붙은 기울기는 어디에서 나타납니까?

```{choose} 3
행렬곱의 두 입력
: 행렬곱의 두 입력은 서로 다른 노드이고, 각각 기울기를 한 번씩 받습니다.

소프트맥스의 입력
: 점수는 소프트맥스에만 쓰이므로 기울기가 한 번 옵니다.

여러 번 쓰인 노드
: 잔차 연결의 $x$는 가지와 덧셈에, 정규화한 $\hat x$는 $Q, K, V$에 쓰입니다. 쓰인 곳마다 온 기울기를 더합니다.
```

(gradient-of-every-parameter)=
## 3. 모든 파라미터의 기울기

기울기는 손실이 가장 빨리 커지는 방향입니다. 그 반대 방향으로 움직이면 손실이 줄어듭니다.
"""

# %% [markdown] lang="en"
r"""
(backward-order)=
## 2. The order of the operations

| backwards | rule | derived |
| --- | --- | --- |
| cross entropy + softmax | $\bar z = (p - y)/T$ for $T$ tokens | [lesson 5](#softmax-minus-one-hot) |
| $W_{\text{out}}$ | $\bar W_{\text{out}} = \hat x^{\mathsf T} \bar z, \quad \bar{\hat x} = \bar z W_{\text{out}}^{\mathsf T}$ | [lesson 3](#matrix-product-backward) |
| layer norm | $\bar x = \frac{1}{\sigma}\bigl(h - \langle h\rangle - \hat x \langle h \odot \hat x\rangle\bigr),\; h = \gamma \odot \bar y$ | [lesson 10](#layer-norm-derivation) |
| residual | $\bar x = \bar y + (\text{gradient from the branch})$ | [lesson 10](#residual-derivation) |
| $W_2$, ReLU, $W_1$ | $\bar W_2 = h^{\mathsf T} \bar y, \quad \bar a = \bar h \odot [a > 0], \quad \bar W_1 = \hat x^{\mathsf T} \bar a$ | [lesson 3](#matrix-product-backward) |
| $W_O$, $W_V$, $W_K$, $W_Q$ | the rules of matrix product and softmax | [lesson 10](#attention-derivation) |
| $\gamma$, $\beta$ | $\bar\gamma = \sum \bar y \odot \hat x, \quad \bar\beta = \sum \bar y$ (over the tokens) | [lesson 10](#layer-norm-derivation) |
| embedding | add to the rows that were used | [below](#embedding-gradient) |

$\langle\cdot\rangle$ is the mean over a row. At a residual connection the path splits in two: one goes through attention or feed-forward, the other around it. The gradients of both paths are added.

```{player} loss, tokens=read
```

**Think first.** For which nodes does the list show a gradient with `+`?

```{choose} 3
the two inputs of a matrix product
: They are different nodes, and each receives one gradient from the product.

the input of softmax
: Scores are used by softmax only, so they receive a gradient once.

nodes that are used more than once
: $x$ at a residual connection is used by the branch and by the sum, the normalized $\hat x$ by $Q$, $K$ and $V$. The gradients of all uses are added.
```

(gradient-of-every-parameter)=
## 3. The gradient of every parameter

The gradient is the direction in which the loss increases fastest. Moving the opposite way decreases the loss.
"""

# %%
for path, parameter in model.named_parameters():
    print(f"{path:<28}{glance(parameter.grad)}")

# %% [markdown] lang="ko"
r"""
(embedding-gradient)=
## 4. 임베딩의 기울기: 쓰인 행만

$E[\text{token}]$은 행을 고르는 연산입니다. 그래서 고른 행만 기울기를 받습니다. 한 토큰이 두 번 나오면 두 위치에서 온 기울기가 같은 행에
**더해집니다**. "the cat the"에서 행 4(the)를 봅시다. 쓰이지 않은 행은 0입니다.
"""

# %% [markdown] lang="en"
r"""
(embedding-gradient)=
## 4. The gradient of the embedding: the rows that were used

$E[\text{token}]$ selects rows, so only these rows get a gradient. If a token occurs twice, the gradients of both positions are **added** in its row.
In "the cat the", look at row 4 ("the"). Rows that were not used have gradient 0.
"""

# %%
from autolm import Tensor, embedding

E = Tensor(np.zeros((5, 2)), name="E")
upstream = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
embedding(E, [4, 0, 4]).backward(upstream)
print("ḡ:", *upstream.tolist(), " tokens 4 0 4")
for row, word in enumerate(["cat", "down", "mat", "sat", "the"]):
    print(f"∂L/∂E[{row}]  {word:5} {E.grad[row].tolist()}")

# %% [markdown] lang="ko"
r"""
(values-agree)=
## 5. 맞는지 검증하기

모델을 숫자 하나하나로 풀고, micrograd의 규칙만으로 그 그래프를 따로 미분해서 비교합니다.
"""

# %% [markdown] lang="en"
r"""
(values-agree)=
## 5. Verify it

We expand the model into single numbers, differentiate that graph with micrograd's rules only, and compare.
"""

# %%
scalar = loss.to_values().item()
scalar.backward()
expanded = topological_order(scalar)
slopes = {value.name: value.grad for value in expanded}
print(f"{len(topological_order(loss))} Tensors = {len(expanded)} Values   L = {scalar.data:.6f}")
W_Q = model.blocks[0].attention.W_Q
print(f"W_Q[1,2]   Tensor {W_Q.grad[1, 2]:+.12f}")
print(f"           Value  {slopes['blocks.0.attention.W_Q[1,2]']:+.12f}")
differences = [
    abs(gradient - slopes.get(f"{path}[{','.join(map(str, index))}]", 0.0))
    for path, parameter in model.named_parameters()
    for index, gradient in np.ndenumerate(parameter.grad)
]
print(f"{len(differences)} gradients, max |Δ| < 1e-12: {max(differences) < 1e-12}")

# %% [markdown] lang="ko"
r"""
(update)=
## 6. 한 걸음: 경사하강법

$$\theta_{\text{new}} = \theta_{\text{old}} - \alpha \frac{dL}{d\theta}, \qquad \alpha = 0.1$$
"""

# %% [markdown] lang="en"
r"""
(update)=
## 6. One step of gradient descent

$$\theta_{\text{new}} = \theta_{\text{old}} - \alpha \frac{dL}{d\theta}, \qquad \alpha = 0.1$$
"""

# %%
before, after = model.train_step(TOKENS, TARGETS, learning_rate=0.1)
print(f"{before:.6f} → {after:.6f}")

# %% [markdown] lang="ko"
r"""
## 직접 실행하기

```{run}
from autolm import Value

E = [Value(0.1), Value(0.2), Value(0.3)]
tokens = [2, 0, 2]
loss = Value.sum(E[t] * E[t] * (i + 1) for i, t in enumerate(tokens))
loss.backward()
print([round(e.grad, 4) for e in E])
```

## 연습문제

**1. 값을 예측하세요.** "the cat the"에서 $\bar g$가 위와 같을 때, $\partial L/\partial E[4]$의 두 번째 수는?

```{predict} E.grad[4, 1]

'the'는 위치 0과 위치 2에 나옵니다.

두 위치의 기울기를 더합니다: $10 + 30 = 40$.
```

**2. 틀린 규칙을 찾으세요.** 두 수를 층 정규화하면 첫째는 $y = \dfrac{(a - b)/2}{\sqrt{(a - b)^2/4 + 1}}$입니다. (분모의 1은 $\varepsilon$의
자리에 둔 큰 수입니다.) 아래 규칙은 한 곳이 틀렸습니다.

```{exercise} norm_of_two
t = (a − b)/2라 하면 y = t / √(t² + 1)입니다. t로 미분해 보세요.
몫의 미분법에 의해 dy/dt = (t² + 1)^(−3/2)입니다.
```
"""

# %% [markdown] lang="en"
r"""
## Run it yourself

```{run}
from autolm import Value

E = [Value(0.1), Value(0.2), Value(0.3)]
tokens = [2, 0, 2]
loss = Value.sum(E[t] * E[t] * (i + 1) for i, t in enumerate(tokens))
loss.backward()
print([round(e.grad, 4) for e in E])
```

## Exercises

**1. Predict.** In "the cat the" with the $\bar g$ above, what is the second number of $\partial L/\partial E[4]$?

```{predict} E.grad[4, 1]

"the" occurs at positions 0 and 2.

The gradients of both positions are added: $10 + 30 = 40$.
```

**2. Find the wrong rule.** The first of two numbers in a layer norm is $y = \dfrac{(a - b)/2}{\sqrt{(a - b)^2/4 + 1}}$. (The 1 below
is a large $\varepsilon$.) The rule below has one mistake.

```{exercise} norm_of_two
With t = (a − b)/2, y = t / √(t² + 1). Differentiate with respect to t.
By the quotient rule, dy/dt is 1 / (t² + 1) to the power 3/2.
```
"""
