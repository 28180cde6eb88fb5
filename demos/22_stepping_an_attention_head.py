# %% [markdown] lang="ko"
r"""
# 22강: 어텐션 헤드를 지나는 기울기

학습하지 않은 작은 TinyLM이 토큰 다섯 개를 읽습니다. 역전파를 첫 블록의 어텐션에서 멈추고, 그 안의 각 부분이 어떤 기울기를 받는지 봅니다. 그리고
출력의 숫자 **하나**를 펼쳐 봅니다. 배열의 연산도 1강의 덧셈과 곱셈으로 이루어져 있습니다.

    autolm step demos/22_stepping_an_attention_head.py

(stop-at-attention)=
## 1. 어텐션의 역전파 직전에 멈추기
"""

# %% [markdown] lang="en"
r"""
# Lesson 22: the gradient through an attention head

A small TinyLM, untrained, reads five tokens. We stop its backward pass at the attention of the first block, look at the gradient that each part receives,
and then expand **one** number of its output: array operations consist of the sums and products of lesson 1.

    autolm step demos/22_stepping_an_attention_head.py

(stop-at-attention)=
## 1. Stop before the attention
"""

# %%
import numpy as np

from autolm import TinyLM, Walk, explain

model = TinyLM(vocab_size=9, d_model=8, num_heads=2, d_ff=16, num_layers=1, dtype="float64", seed=3)
token_ids = np.array([1, 2, 3, 4, 5, 6])
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
walk = Walk(loss)
print(f"L = {float(loss):.4f}   {len(walk.operations)} steps")
walk.break_at(op="attention")
walk.run()
step = walk.preview()
print(f"{step.index + 1}: {step.node.op.name}   {step.node.scope}\n")
print(f"ḡ     ‖·‖ {np.linalg.norm(step.upstream):.4f}")
for name, rule, contribution in zip("qkv", step.rule, step.contributions, strict=True):
    print(f"→ {name}   ‖·‖ {np.linalg.norm(contribution.value):.4f}   {rule}")

# %% [markdown] lang="ko"
r"""
(head-by-position)=
## 2. 헤드 1의 위치별 기울기

폭 8을 헤드 둘이 4씩 나눕니다. 둘째 헤드(번호 1)는 다섯째 수부터입니다. 위치마다 밸류 $v$와 키 $k$로서 받는 기울기의 크기입니다. 뒤에 있는 위치일수록 그 위치를 볼 수 있는 쿼리가 적습니다. 마지막 위치를 보는 것은 자기 자신뿐입니다.
"""

# %% [markdown] lang="en"
r"""
(head-by-position)=
## 2. Head 1, position by position

Two heads share a width of 8; the second, head 1, starts at the fifth number. The table shows the norm of the gradient that each position receives as a value $v$
and as a key $k$. The later a position, the fewer queries can see it; the last is seen only by itself.
"""

# %%
head, position, first = 1, 3, 4
_, to_k, to_v = (contribution.value[:, first:] for contribution in step.contributions)
for i, (k, v) in enumerate(zip(to_k, to_v, strict=True)):
    print(f"{i}   v ‖·‖ {np.linalg.norm(v):.6f}   k ‖·‖ {np.linalg.norm(k):.6f}")

# %% [markdown] lang="ko"
r"""
(zoom)=
## 3. 숫자 하나를 펼치기

헤드 1, 위치 3의 출력에서 첫 번째 수입니다. 이 수 하나가 `Value`의 연산 수십 개입니다. 아래는 그 역전파의 처음 몇 단계이고, 각 단계의 첫
피연산자에 가는 값입니다. ($\bar g = 1$에서 시작합니다.)
"""

# %% [markdown] lang="en"
r"""
(zoom)=
## 3. Expand one number

We take the first number of the output of head 1 at position 3. This one number takes dozens of operations on Values. Here are some of the first
steps of its backward pass, with the gradient for the first operand of each. (It starts from $\bar g = 1$.)
"""

# %%
element = step.node.to_values(zoom=True)[position, first]
steps = list(element.steps(1.0))
print(f"y = {element.data:.4f}   {len(steps)} operations\n")
for i in (0, 1, 6, 7, 8):
    op, contribution = steps[i].node.op, steps[i].contributions[0]
    product = f"{steps[i].upstream:9.5f} × {contribution.local:8.5f} = {contribution.value:9.5f}"
    print(f"{i + 1:2}  {op.symbol:4} y = {op.formula:12} {product}")
walk.run()

# %% [markdown] lang="ko"
r"""
(paths)=
## 4. 기여가 가장 큰 경로

손실에서 쿼리의 가중치 $W_Q$까지 가는 경로는 여럿입니다. 그중 기여가 가장 큰 둘을 출력합니다. 모든 경로의 기여를 더하면 기울기가 됩니다.
"""

# %% [markdown] lang="en"
r"""
(paths)=
## 4. The paths with the largest contributions

Many paths lead from the loss to the weights $W_Q$ of the queries. Here are the two with the largest contributions; the sum over all paths is the gradient.
"""

# %%
W_Q = model.blocks[0].attention.W_Q
for path in explain(W_Q, loss, paths=2).paths:
    names = [node.op.name if node.op else node.name for node in path.nodes]
    print(f"‖{path.weight:.5f}‖  {' ← '.join(names[:4])} ← … ← {' ← '.join(names[-3:])}")
print(f"‖{np.linalg.norm(W_Q.grad):.5f}‖  Σ")

# %% [markdown] lang="ko"
r"""
```{player} loss
:open: blocks.0.attention
```

## 직접 실행하기

```{run}
from autolm import Value

q = [Value(x, name=f"q{i}") for i, x in enumerate((1.0, 0.5))]
scores = [Value.dot(q, key) / 2**0.5 for key in ([1.0, 0.0], [0.0, 2.0])]
e = [s.exp() for s in scores]
y = Value.dot([x / Value.sum(e) for x in e], [10.0, -10.0])
for step in y.steps():
    sent = [round(c.value, 4) for c in step.contributions]
    print(step.index + 1, step.node.op.symbol, round(step.upstream, 4), "→", *sent)
print([round(x.grad, 4) for x in q])
```

## 연습문제

**1. 값을 예측하세요.** $d_{\text{model}} = 8$, 헤드 둘, 토큰 다섯입니다. 가중치(어텐션 행렬)의 칸은 헤드를 모두 합해 몇 칸입니까?

```{predict} 2 * 5 * 5
:within: 0

헤드 하나의 가중치는 (토큰 수) × (토큰 수) 행렬입니다.

헤드 2개, 각각 $5 \cdot 5$칸: $2 \cdot 25 = 50$.
```

**2. 그려서 설명하세요.** 인과 마스크가 있을 때, 마지막 위치 4를 볼 수 있는 쿼리는 어느 것입니까? 그 키 $k_4$의 기울기는 무엇으로 이루어집니까?

```{answer}
위치 4를 볼 수 있는 것은 위치 4의 쿼리뿐입니다. 그래서 $\bar k_4$는 그 행 하나의 $\bar s$에 $q_4$를 곱한 것이고, 이전 위치의 키들은 여러 행에서 기울기를 받습니다. 위의 표에서 위치별 크기를 비교하세요.
```
"""

# %% [markdown] lang="en"
r"""
```{player} loss
:open: blocks.0.attention
```

## Run it yourself

```{run}
from autolm import Value

q = [Value(x, name=f"q{i}") for i, x in enumerate((1.0, 0.5))]
scores = [Value.dot(q, key) / 2**0.5 for key in ([1.0, 0.0], [0.0, 2.0])]
e = [s.exp() for s in scores]
y = Value.dot([x / Value.sum(e) for x in e], [10.0, -10.0])
for step in y.steps():
    sent = [round(c.value, 4) for c in step.contributions]
    print(step.index + 1, step.node.op.symbol, round(step.upstream, 4), "→", *sent)
print([round(x.grad, 4) for x in q])
```

## Exercises

**1. Predict.** $d_{\text{model}} = 8$, two heads, five tokens: how many cells do the attention weights of both heads together have?

```{predict} 2 * 5 * 5
:within: 0

The weights of one head are a (tokens) × (tokens) matrix.

Two heads of $5 \cdot 5$ cells each: $2 \cdot 25 = 50$.
```

**2. Draw and explain.** Under a causal mask, which query can see the last position, 4, and what is the gradient of its key $k_4$ made of?

```{answer}
Only the query of position 4 itself. So $\bar k_4$ is $q_4$ times the one number $\bar s$ of that row, while earlier keys collect from several
rows. Compare the lengths in the table above.
```
"""
