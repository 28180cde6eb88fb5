# %% [markdown] lang="ko"
r"""
# 체크포인트 3: 손실에서 모든 파라미터까지

**1.** $\bar W_{\text{out}}$의 공식은? 두 모양이 맞는지 확인하세요. ($\hat x$: $(3, 4)$, $\bar z$: $(3, 5)$)

```{write}
```

```{answer}
$\bar W_{\text{out}} = \hat x^{\mathsf T}\bar z$, $(4, 3)(3, 5) = (4, 5)$. 기울기의 모양은 언제나 자기 데이터의 모양입니다. [3강](#matrix-product-backward)
```

**2.** 잔차 연결은 왜 기울기를 지켜 줍니까?

```{write}
```

```{answer}
$y = x + f(x)$의 미분에는 $I$가 들어 있습니다. 위에서 온 기울기가 그대로 한 번 내려가고, 가지를 거친 기울기가 더해집니다. 곱할수록 작아지는 경로만 있는 것이 아닙니다. [10강](#residual-derivation)
```

**3.** 손실에서 $W_Q$까지 기울기가 지나는 연산을 거꾸로 순서대로 쓰세요.

```{write}
```

```{answer}
교차 엔트로피·소프트맥스 → $W_{\text{out}}$ → 마지막 층 정규화 → 잔차 → (피드포워드 가지와 옆길) → 잔차 → $W_O$ → 가중합 → 소프트맥스 → 점수 $QK^{\mathsf T}/\sqrt{d_k}$ → $Q = \hat x W_Q$. [11강](#backward-order)
```

**4.** 예측하세요. 아래에서 로짓의 기울기 한 행의 합은?

```{predict} 0
```

## 답하는 숫자
"""

# %% [markdown] lang="en"
r"""
# Checkpoint 3: from the loss to every parameter

**1.** What is the formula of $\bar W_{\text{out}}$? Check that the shapes match. ($\hat x$: $(3, 4)$, $\bar z$: $(3, 5)$)

```{write}
```

```{answer}
$\bar W_{\text{out}} = \hat x^{\mathsf T}\bar z$, of shapes $(4, 3)(3, 5) = (4, 5)$. A gradient always has the shape of its data. [Lesson 3](#matrix-product-backward)
```

**2.** Why does a residual connection keep the gradient alive?

```{write}
```

```{answer}
In the derivative of $y = x + f(x)$ there is an $I$: the gradient from above is passed on once, unchanged, and the gradient from the branch is added. So there is one path that is not a shrinking product. [Lesson 10](#residual-derivation)
```

**3.** Through which operations does the gradient pass on its way from the loss to $W_Q$? List them in backward order.

```{write}
```

```{answer}
Cross entropy and softmax → $W_{\text{out}}$ → the last layer norm → residual → (the branch of feed-forward, and around it) → residual → $W_O$ → weighted sum → softmax → scores $QK^{\mathsf T}/\sqrt{d_k}$ → $Q = \hat x W_Q$. [Lesson 11](#backward-order)
```

**4.** Predict: what does a row of the gradient of the logits below add up to?

```{predict} 0
```

## The numbers that answer
"""

# %% tags=["hide-cell"]
import numpy as np

from autolm import TinyLM, cross_entropy, explain

model = TinyLM(5, 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
logits, _ = model.forward(np.array([4, 0, 3]))
loss = cross_entropy(logits, targets=np.array([0, 3, 1]))
loss.backward(retain_grads=True)
print("∂L/∂z =")
print(logits.grad.round(4), " Σ", abs(logits.grad.sum(1).round(12)))
print("W_out", model.W_out.shape, "grad", model.W_out.grad.shape)
W_Q = model.blocks[0].attention.W_Q
for path in explain(W_Q, loss, paths=1).paths:
    print(" ← ".join(node.op.name if node.op else node.name for node in path.nodes))
