# %% [markdown] lang="ko"
r"""
# 12강: 최적화

기울기를 구했으니 이제 파라미터를 어떻게 움직일지 정할 차례입니다. 경사하강법, 모멘텀, Adam을 같은 골짜기에서 비교하고, Adam의 산술을 한 줄씩 계산하고, 실제 학습에
쓰는 네 가지 장치(워밍업, 코사인 스케줄, 클리핑, 가중치 감쇠(weight decay))를 봅니다.

(valley)=
## 1. 골짜기와 세 가지 방법

$f(x, y) = \tfrac12 x^2 + \tfrac{25}{2} y^2$. 최솟값은 원점이고, $y$ 방향이 25배 가파릅니다. 기울기는 $(x, 25y)$입니다.

**경사하강법**: $\theta \leftarrow \theta - \alpha g$. $y$에서는 한 걸음마다 $1 - 25\alpha$배, $x$에서는 $1 - \alpha$배가 됩니다. 발산하지 않으려면
$|1 - 25\alpha| < 1$, 즉 $\alpha < 2/25 = 0.08$이어야 하는데, 그러면 $x$는 느립니다.

**모멘텀**(momentum): 지나온 기울기를 모아 속도를 만듭니다. $v \leftarrow \mu v + g$, $\;\theta \leftarrow \theta - \alpha v$. 부호가 번갈아 바뀌는 성분은 상쇄되고, 부호가 일정한
성분은 최대 $1/(1 - \mu)$배까지 쌓입니다.

**Adam**: 파라미터마다 기울기의 이동평균을 기울기의 최근 크기로 나눈 만큼 움직입니다. 가파른 쪽과 완만한 쪽의 걸음이 비슷해집니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 12: optimisation

We know the gradient; how should we update the parameters? We compare gradient descent, momentum and Adam in the same valley, compute Adam's arithmetic line by line, and look at four techniques of real
training: warm-up, the cosine schedule, clipping and weight decay.

(valley)=
## 1. A valley and three methods

$f(x, y) = \tfrac12 x^2 + \tfrac{25}{2} y^2$. Its minimum is at the origin, and it is 25 times as steep in $y$. Its gradient is $(x, 25y)$.

**Gradient descent**: $\theta \leftarrow \theta - \alpha g$. A step multiplies $y$ by $1 - 25\alpha$, and $x$ by $1 - \alpha$. To avoid divergence we need $|1 - 25\alpha| < 1$, so
$\alpha < 2/25 = 0.08$, but then $x$ converges slowly.

**Momentum** accumulates the gradients into a velocity: $v \leftarrow \mu v + g$, $\;\theta \leftarrow \theta - \alpha v$. Oscillating components cancel; steady components
grow, by a factor of at most $1/(1 - \mu)$.

**Adam** moves each parameter by the moving average of its gradient, divided by the recent size of that gradient, so steep and gentle directions take similar steps.
"""

# %% en="four paths into a long valley: a zigzag, one that leaves it, a swinging one, a smooth curve" ko="긴 골짜기로 내려가는 네 경로: 지그재그, 발산, 흔들림, 완만하게 휘는 경로"
import matplotlib.pyplot as plt
import numpy as np

from autolm import SGD, Adam, AdamW, Tensor
from autolm.nn import clip_gradients, schedule


def descend(make, steps=40):
    theta = Tensor([-4.0, 1.2], name="theta")
    optimizer, path = make([theta]), [theta.data]
    for _ in range(steps):
        loss = (theta * theta * [0.5, 12.5]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        path.append(theta.data)
    return np.array(path), loss.item()


walks = {
    "SGD 0.07": lambda p: SGD(p, 0.07),
    "SGD 0.081": lambda p: SGD(p, 0.081),
    "momentum 0.5": lambda p: SGD(p, 0.1, momentum=0.5),
    "Adam 0.3": lambda p: Adam(p, 0.3),
}
figure, axes = plt.subplots(2, 2, figsize=(5, 3.8), layout="constrained", sharex=True, sharey=True)
X, Y = np.meshgrid(np.linspace(-4.5, 2, 100), np.linspace(-1.8, 1.8, 100))
for (name, make), ax in zip(walks.items(), axes.flat, strict=True):
    path, loss = descend(make)
    ax.contour(X, Y, 0.5 * X**2 + 12.5 * Y**2, levels=12, colors="0.8", linewidths=0.7)
    ax.plot(*path.clip(-5, 5).T, ".-", ms=4, lw=1)
    ax.set(title=name, xlim=(-4.5, 2), ylim=(-1.8, 1.8))
    print(f"{name:13} f = {loss:9.5f}   x = {path[-1, 0]:8.4f}   y = {path[-1, 1]:8.4f}")

# %% [markdown] lang="ko"
r"""
0.08을 조금 넘은 0.081에서 $y$가 발산하기 시작합니다. 40걸음 뒤의 값을 비교하세요. 모멘텀($\mu = 0.5$)은 $y$의 진동을 상쇄하므로 발산하지 않는 학습률의 한계가 $2(1 + \mu)/25 = 0.12$로 커집니다.
그래서 학습률 0.1로도 안정적이고, 경사하강법보다 훨씬 빨리 원점에 가까워집니다. $\mu$가 클수록 좋은 것은 아닙니다. 0.9로 바꾸면 40걸음 뒤에도 흔들립니다(아래에서 직접 해 보세요).
이렇게 단순한 골짜기에서는 Adam이 더 빠르지 않습니다. Adam의 장점은 파라미터마다 기울기의 크기가 다른 큰 모델에서 학습률 하나로 모두 움직일 수 있다는 것입니다.

(adam)=
## 2. Adam의 산술, 한 줄씩

기울기가 차례로 $g_1 = 0.1,\; g_2 = 0.3,\; g_3 = -0.2$라고 합시다. $\beta_1 = 0.9,\; \beta_2 = 0.999,\; \alpha = 0.01$.

$$\begin{aligned}
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t && \text{기울기의 이동평균} \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 && \text{제곱의 이동평균} \\
\hat m_t &= m_t / (1 - \beta_1^t), \quad \hat v_t = v_t / (1 - \beta_2^t) && \text{0에서 시작한 것을 보정} \\
\theta_t &= \theta_{t-1} - \alpha\, \hat m_t / (\sqrt{\hat v_t} + \varepsilon)
\end{aligned}$$

**왜 보정하는가.** $m_0 = 0$이므로 기울기가 언제나 $g$여도 $m_t = (1 - \beta_1)\sum_{s=0}^{t-1}\beta_1^s\, g = (1 - \beta_1^t)\,g$입니다. 등비수열의 합입니다. 나누면 정확히
$g$가 됩니다. 첫 걸음은 $\hat m_1 = g_1$, $\hat v_1 = g_1^2$이므로 걸음의 길이는 기울기의 크기와 관계없이 거의 $\alpha$입니다($\varepsilon$만큼 작습니다).
"""

# %% [markdown] lang="en"
r"""
At 0.081, just above 0.08, $y$ begins to diverge. Compare the values after 40 steps. Momentum ($\mu = 0.5$) cancels the oscillation of $y$ and so raises the limit of the learning rate to $2(1 + \mu)/25 = 0.12$. With 0.1 it is stable and
comes much closer to the origin than gradient descent. A larger $\mu$ is not always better: with 0.9 it still swings after 40 steps (try it below). In a valley as simple as this, Adam is not faster. Its advantage is that one learning
rate works for all parameters of a large model, whose gradients differ in size.

(adam)=
## 2. Adam's arithmetic, line by line

Suppose the gradients are $g_1 = 0.1,\; g_2 = 0.3,\; g_3 = -0.2$, with $\beta_1 = 0.9,\; \beta_2 = 0.999,\; \alpha = 0.01$.

$$\begin{aligned}
m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t && \text{moving average of gradients} \\
v_t &= \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2 && \text{moving average of squares} \\
\hat m_t &= m_t / (1 - \beta_1^t), \quad \hat v_t = v_t / (1 - \beta_2^t) && \text{corrected for starting at 0} \\
\theta_t &= \theta_{t-1} - \alpha\, \hat m_t / (\sqrt{\hat v_t} + \varepsilon)
\end{aligned}$$

**Why correct?** Since $m_0 = 0$, a constant gradient $g$ gives $m_t = (1 - \beta_1)\sum_{s=0}^{t-1}\beta_1^s\, g = (1 - \beta_1^t)\,g$, a geometric series; the division makes it
exactly $g$. In the first step $\hat m_1 = g_1$ and $\hat v_1 = g_1^2$, so the step has almost length $\alpha$ for a gradient of any size (only $\varepsilon$ makes it a little shorter).
"""

# %%
parameter = Tensor(np.array([1.0]), name="w")
adam = Adam([parameter], 0.01)
m = v = 0.0
theta = 1.0
print(" t      g        m          v         m̂        v̂         step      w")
for t, g in enumerate((0.1, 0.3, -0.2), 1):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    move = 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
    theta -= move
    print(f"{t:2} {g:8.2f}{m:10.4f}{v:11.6f}{m_hat:10.4f}{v_hat:10.6f}{move:11.6f}{theta:11.6f}")
    parameter.grad = np.array([g])
    adam.step()
print(f"autolm.Adam: w = {parameter.data[0]:.6f}")

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 모든 기울기를 100배로 하면 Adam의 걸음은 어떻게 됩니까?

```{choose} 1
거의 그대로입니다
: $\hat m$은 100배, $\sqrt{\hat v}$도 100배가 되어 나눌 때 상쇄됩니다. $\varepsilon$ 때문에 생기는 차이만 남습니다.

100배가 됩니다
: 경사하강법과 모멘텀에서는 그렇습니다. Adam은 기울기를 그 크기로 나눕니다.

10배가 됩니다
: $v$는 기울기의 제곱의 평균이고 거기에 제곱근을 취하므로, 분모도 100배가 됩니다.
```

(warmup-cosine)=
## 3. 학습률 스케줄: 워밍업과 코사인

처음에는 $v$가 몇 걸음의 기울기만 알고 있어서 믿을 수 없고, 모델도 급하게 변합니다. 그래서 **워밍업**(warm-up)은 학습률을 0 근처에서 시작해 곧게
올립니다. 학습이 끝날 무렵에는 작은 걸음이 필요합니다. **코사인** 스케줄은 반 바퀴의 코사인으로 부드럽게 내립니다. 스케줄은 걸음의 크기를 정하고, 다음 절의 클리핑은 기울기의 크기를 제한합니다.

$$\alpha_t = \alpha_{\min} + \tfrac12(\alpha_{\max} - \alpha_{\min})\Bigl(1 + \cos\frac{\pi\,(t - t_w)}{T - t_w}\Bigr), \qquad t \ge t_w$$
"""

# %% [markdown] lang="en"
r"""
**Think first.** If all gradients become 100 times as large, what happens to the steps of Adam?

```{choose} 1
They hardly change.
: $\hat m$ grows by 100 and $\sqrt{\hat v}$ too, and the division cancels the factor. Only the effect of $\varepsilon$ remains.

They grow by 100.
: That is so for gradient descent and momentum. Adam divides the gradient by its own size.

They grow by 10.
: $v$ averages the squares of gradients, and its square root is taken, so the denominator grows by 100 as well.
```

(warmup-cosine)=
## 3. Learning rate schedules: warm-up and cosine

At first $v$ is based on only a few steps and is unreliable, and the model changes fast. So **warm-up** starts near 0 and raises the rate
linearly. At the end, steps must be small: the **cosine** schedule lowers it by half a turn of a cosine. A schedule sets the size of the steps; clipping, in the next section, limits the size of the gradient.

$$\alpha_t = \alpha_{\min} + \tfrac12(\alpha_{\max} - \alpha_{\min})\Bigl(1 + \cos\frac{\pi\,(t - t_w)}{T - t_w}\Bigr), \qquad t \ge t_w$$
"""

# %% en="three learning rates by step: constant, linear, cosine, each after a warm-up" ko="걸음에 따른 학습률 셋: 상수, 직선, 코사인, 모두 워밍업 뒤에"
figure, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
for name in ("constant", "linear", "cosine"):
    rate = schedule(name, 1e-3, 1000, warmup_steps=100, final_learning_rate=1e-4)
    rates = [rate(step) for step in range(1000)]
    ax.plot(rates, label=name)
    picked = "  ".join(f"{rates[step]:.2e}" for step in (0, 49, 99, 300, 550, 999))
    print(f"{name:9} t = 0, 49, 99, 300, 550, 999:  {picked}")
ax.set(xlabel="t", ylabel="α")
ax.legend()

# %% [markdown] lang="ko"
r"""
(clipping)=
## 4. 기울기 클리핑

가끔 한 배치의 기울기가 아주 길어서 한 걸음에 모델을 망칩니다. **클리핑**(clipping)은 모든 파라미터의 기울기를 이어 붙인 벡터의 크기가 $c$보다 크면
방향은 그대로 두고 크기만 $c$로 줄입니다.

$$g \leftarrow g \cdot \min\Bigl(1, \frac{c}{\|g\|}\Bigr), \qquad \|g\| = \sqrt{\sum_{\text{모든 파라미터}} g_i^2}$$
"""

# %% [markdown] lang="en"
r"""
(clipping)=
## 4. Clipping

Sometimes the gradient of a batch is very large, and one step ruins the model. **Clipping**: if the norm of the gradient of all parameters, joined into one vector, exceeds
$c$, keep the direction and scale the norm down to $c$.

$$g \leftarrow g \cdot \min\Bigl(1, \frac{c}{\|g\|}\Bigr), \qquad \|g\| = \sqrt{\sum_{\text{all parameters}} g_i^2}$$
"""

# %%
a, b = Tensor([0.0, 0.0], name="a"), Tensor([0.0], name="b")
a.grad, b.grad = np.array([2.0, 3.0]), np.array([6.0])
before = clip_gradients([a, b], 1.0)
print(f"‖g‖ = {before:g}  →  a.grad = {a.grad.round(4)}, b.grad = {b.grad.round(4)}")
print(f"‖g‖ = {np.sqrt((a.grad**2).sum() + (b.grad**2).sum()):.4f}")

# %% [markdown] lang="ko"
r"""
(weight-decay)=
## 5. 가중치 감쇠

손실에 $\frac{\lambda}{2}\|\theta\|^2$를 더하면 기울기에 $\lambda\theta$가 더해집니다. Adam에서는 이것이 $\sqrt{\hat v}$로 나뉘어 뜻이 흐려지므로, **AdamW**는
기울기와 따로 줄입니다: $\theta \leftarrow \theta - \alpha\lambda\theta - \alpha\,\hat m/(\sqrt{\hat v} + \varepsilon)$. 기울기가 0이어도 걸음마다 $1 - \alpha\lambda$배가
됩니다. 1차원 파라미터(층 정규화의 $\gamma, \beta$)는 줄이지 않습니다.
"""

# %% [markdown] lang="en"
r"""
(weight-decay)=
## 5. Weight decay

Adding $\frac{\lambda}{2}\|\theta\|^2$ to the loss adds $\lambda\theta$ to the gradient. In Adam this term would be divided by $\sqrt{\hat v}$ and lose its meaning, so
**AdamW** applies the decay separately from the gradient: $\theta \leftarrow \theta - \alpha\lambda\theta - \alpha\,\hat m/(\sqrt{\hat v} + \varepsilon)$. With gradient 0, each step multiplies the weight by
$1 - \alpha\lambda$. Parameters of one dimension ($\gamma$ and $\beta$ of layer norm) are not decayed.
"""

# %%
W = Tensor(np.full((1, 1), 2.0), name="W")
gain = Tensor(np.full(1, 2.0), name="gain")
optimizer = AdamW([W, gain], 0.1, weight_decay=0.5)
for t in range(1, 4):
    W.grad, gain.grad = np.zeros((1, 1)), np.zeros(1)
    optimizer.step()
    print(
        f"{t}   W = {W.data[0, 0]:.4f} = 2 · 0.95^{t} = {2 * 0.95**t:.4f}   γ = {gain.data[0]:.4f}"
    )

# %% [markdown] lang="ko"
r"""
## 들여다보기

골짜기를 `Value`로 계산한 것입니다. 맨 끝에서 $\alpha$를 0.08의 양쪽으로 움직이며 다음 손실을 보고, 걸음을 되풀이해 보세요.
"""

# %% [markdown] lang="en"
r"""
## Look into it

This is the valley computed with Values. At the end, move $\alpha$ to either side of 0.08, watch the loss after the step, and take several steps.
"""

# %%
from autolm import Value

vx, vy = Value(-4.0, name="x"), Value(1.2, name="y")
valley = vx * vx * 0.5 + vy * vy * 12.5

# %% [markdown] lang="ko"
r"""
```{player} valley
5: 골짜기의 높이
11: 기울기를 모두 구함
```

## 직접 실행하기

```{run}
from autolm import Value

x, y, mu, rate = Value(-4.0), Value(1.2), 0.5, 0.1
vx = vy = 0.0
for step in range(40):
    f = x * x * 0.5 + y * y * 12.5
    x.grad = y.grad = 0
    f.backward()
    vx, vy = mu * vx + x.grad, mu * vy + y.grad
    x.data -= rate * vx
    y.data -= rate * vy
    if step % 8 == 7:
        print(step + 1, round(x.data, 4), round(y.data, 4), round(f.data, 5))
```

## 연습문제

**1. 값을 예측하세요.** $\alpha = 0.001$인 Adam의 **첫** 걸음의 길이는, 기울기가 $5000$일 때 얼마입니까?

```{predict} 0.001
:within: 0.00001

첫 걸음에서 편향을 보정하면 $\hat m = g$, $\hat v = g^2$입니다.

$\alpha\, g/\sqrt{g^2} = \alpha = 0.001$. 기울기의 크기와 관계가 없습니다.
```

**2. 값을 예측하세요.** $\mu = 0.9$이고 기울기가 언제나 1이면 모멘텀의 속도 $v$는 어디에 가까워집니까?

```{predict} 1 / (1 - 0.9)

$v = \mu v + 1$을 만족하는 $v$를 구하세요.

$v = 1/(1 - \mu) = 1/0.1 = 10$.
```

**3. 규칙을 쓰세요.** 가중치 감쇠가 있는 손실 $L = (wx - y)^2 + \tfrac{\lambda}{2}w^2$, $\lambda = 0.1$.

```{exercise} decayed_loss
바깥 제곱의 미분은 2(wx − y)입니다.
w에는 두 항에서 옵니다.
```

**4. 그려서 설명하세요.** 위의 첫 그림에서 SGD 0.07의 경로가 지그재그인 까닭은?

```{answer}
$y$가 걸음마다 $1 - 25 \cdot 0.07 = -0.75$배가 되어 부호가 바뀌기 때문입니다. $x$는 $0.93$배로 천천히 줄어듭니다.
```

**5. 만들어 보세요.** 파라미터 하나에 대한 Adam을 쓰세요. 기울기의 리스트를 받아, 걸음마다 갱신한 뒤의 `theta`를 리스트로 돌려줍니다.

```{build} adam_steps
m과 v는 0에서 시작합니다.
걸음의 번호 t는 1부터입니다. 보정할 때 씁니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} valley
5: the height of the valley
11: the whole gradient
```

## Run it yourself

```{run}
from autolm import Value

x, y, mu, rate = Value(-4.0), Value(1.2), 0.5, 0.1
vx = vy = 0.0
for step in range(40):
    f = x * x * 0.5 + y * y * 12.5
    x.grad = y.grad = 0
    f.backward()
    vx, vy = mu * vx + x.grad, mu * vy + y.grad
    x.data -= rate * vx
    y.data -= rate * vy
    if step % 8 == 7:
        print(step + 1, round(x.data, 4), round(y.data, 4), round(f.data, 5))
```

## Exercises

**1. Predict.** How long is the **first** step of Adam with $\alpha = 0.001$, if the gradient is $5000$?

```{predict} 0.001
:within: 0.00001

After bias correction the first step has $\hat m = g$ and $\hat v = g^2$.

$\alpha\, g/\sqrt{g^2} = \alpha = 0.001$ for a gradient of any size.
```

**2. Predict.** With $\mu = 0.9$ and a gradient that is always 1, which value does the velocity $v$ of momentum approach?

```{predict} 1 / (1 - 0.9)

Solve $v = \mu v + 1$.

$v = 1/(1 - \mu) = 1/0.1 = 10$.
```

**3. Write the rule.** A loss with weight decay, $L = (wx - y)^2 + \tfrac{\lambda}{2}w^2$ with $\lambda = 0.1$.

```{exercise} decayed_loss
The derivative of the square is 2(wx − y).
w receives a contribution from both terms.
```

**4. Draw and explain.** In the first picture above, why is the path of SGD 0.07 a zigzag?

```{answer}
Each step multiplies $y$ by $1 - 25 \cdot 0.07 = -0.75$: its sign changes. And $x$ shrinks slowly, by $0.93$.
```

**5. Build it.** Write Adam for one parameter: it takes a list of gradients and returns the list of `theta` after each step.

```{build} adam_steps
m and v start at 0.
Steps are counted from t = 1; the correction needs t.
```
"""
