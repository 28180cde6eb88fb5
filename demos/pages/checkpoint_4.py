# %% [markdown] lang="ko"
r"""
# 체크포인트 4: 한 걸음, 그리고 되풀이

**1.** 기울기의 **반대** 방향으로 움직이는 까닭은? 손실이 얼마나 줄어들 것으로 기대합니까?

```{write}
```

```{answer}
1차 근사에서 $L(\theta - \alpha g) \approx L(\theta) - \alpha\, g \cdot g = L(\theta) - \alpha\|g\|^2$. 길이가 같은 걸음 가운데 기울기의 반대 방향이 손실을 가장 많이 줄입니다. [1강](#gradient-descent)
```

**2.** 학습률이 너무 크면 무슨 일이 생깁니까?

```{write}
```

```{answer}
골짜기를 건너뛰어 더 높은 곳으로 갑니다. 곡률이 $c$인 방향에서는 $\alpha > 2/c$이면 발산합니다. [12강](#valley)
```

**3.** 학습 루프의 다섯 줄을 쓰세요. `zero_grad()`를 잊으면?

```{write}
```

```{answer}
배치 → 손실 → 지우고 역전파 → 클리핑 → 한 걸음. 잊으면 이전 걸음들의 기울기가 계속 더해집니다. 잎의 기울기는 쌓이기 때문입니다. [13강](#training-loop)
```

**4.** 예측하세요. $\|g\|^2 = 4$이고 $\alpha = 0.01$이면 손실은 약 얼마만큼 줄어듭니까?

```{predict} 0.01 * 4
:within: 0.001
```

## 답하는 숫자
"""

# %% [markdown] lang="en"
r"""
# Checkpoint 4: one step, repeated

**1.** Why do we move **opposite** to the gradient? By how much do we expect the loss to decrease?

```{write}
```

```{answer}
To first order $L(\theta - \alpha g) \approx L(\theta) - \alpha\, g \cdot g = L(\theta) - \alpha\|g\|^2$. The step in the opposite direction of the gradient decreases the loss more than any other step of the same length. [Lesson 1](#gradient-descent)
```

**2.** What if the learning rate is too large?

```{write}
```

```{answer}
The step jumps over the valley to a higher point. In a direction of curvature $c$ it diverges for $\alpha > 2/c$. [Lesson 12](#valley)
```

**3.** What are the five lines of the training loop? What happens if you forget `zero_grad()`?

```{write}
```

```{answer}
Batch → loss → reset and backward → clip → step. If you forget it, the gradients of earlier steps are added for ever, because leaves accumulate gradients. [Lesson 13](#training-loop)
```

**4.** Predict: with $\|g\|^2 = 4$ and $\alpha = 0.01$, by about how much does the loss decrease?

```{predict} 0.01 * 4
:within: 0.001
```

## The numbers that answer
"""

# %% tags=["hide-cell"]
import numpy as np

from autolm import TinyLM

print("   α       −α‖g‖²       ΔL")
for rate in (0.001, 0.01, 0.1, 1.0, 10.0):
    model = TinyLM(5, 4, 1, 6, 1, norm="pre", causal=True, dtype="float64", seed=8)
    tokens, targets = np.array([4, 0, 3]), np.array([0, 3, 1])
    loss = model.compute_loss(tokens, targets)
    loss.backward()
    squared = sum(float((p.grad**2).sum()) for p in model.parameters())
    before, after = model.train_step(tokens, targets, rate)
    print(f"{rate:6}   {-rate * squared:9.4f}   {after - before:9.4f}")
