# %% [markdown] lang="ko"
r"""
# 10강: 역전파 공식의 유도

지금까지의 강의에서 쓴 규칙을 모두 유도하고, 유도한 공식을 코드로 써서 엔진의 기울기와 비교합니다. 표기: $\bar x = \partial L / \partial x$는 위에서 온
기울기, $[i = j]$는 $i = j$이면 1, 아니면 0입니다. 연쇄법칙은 언제나 같은 모양입니다.

$$\bar x_i = \sum_j \bar y_j \frac{\partial y_j}{\partial x_i}$$

$\partial y_j / \partial x_i$를 늘어놓은 행렬을 **야코비 행렬**(Jacobian)이라고 합니다.

(softmax-jacobian)=
## 1. 소프트맥스의 야코비 행렬

$p_j = e^{z_j} / S$, $\;S = \sum_k e^{z_k}$라 합시다. $\partial S / \partial z_i = e^{z_i}$이므로 몫의 미분법에 의해

$$\begin{aligned}
\frac{\partial p_j}{\partial z_i}
&= \frac{[i = j]\, e^{z_j}\, S - e^{z_j}\, e^{z_i}}{S^2} \\
&= [i = j]\,\frac{e^{z_j}}{S} - \frac{e^{z_j}}{S}\cdot\frac{e^{z_i}}{S} \\
&= p_j\bigl([i = j] - p_i\bigr).
\end{aligned}$$

대각선은 $p_i(1 - p_i) > 0$, 나머지는 $-p_i p_j < 0$입니다. 어떤 단어의 점수가 오르면 그 단어의 확률은 오르고 다른 단어의 확률은 내려갑니다. 위에서 온 $\bar p$에 곱하면

$$\begin{aligned}\bar z_i &= \sum_j \bar p_j\, p_j\bigl([i = j] - p_i\bigr) \\ &= p_i\Bigl(\bar p_i - \sum_j \bar p_j p_j\Bigr).\end{aligned}$$

괄호 속의 합은 모든 $i$에 공통이므로 야코비 행렬을 만들 필요가 없습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 10: derivations of the backward rules

We derive every rule used so far, write it as code, and compare the result with the engine's gradient. We write $\bar x = \partial L / \partial x$ for the gradient from
above, and $[i = j]$ for 1 if $i = j$, else 0. The chain rule always has the same form:

$$\bar x_i = \sum_j \bar y_j \frac{\partial y_j}{\partial x_i}$$

The matrix of all $\partial y_j / \partial x_i$ is the **Jacobian**.

(softmax-jacobian)=
## 1. The Jacobian of softmax

Write $p_j = e^{z_j} / S$ with $S = \sum_k e^{z_k}$. Since $\partial S / \partial z_i = e^{z_i}$, by the quotient rule

$$\begin{aligned}
\frac{\partial p_j}{\partial z_i}
&= \frac{[i = j]\, e^{z_j}\, S - e^{z_j}\, e^{z_i}}{S^2} \\
&= [i = j]\,\frac{e^{z_j}}{S} - \frac{e^{z_j}}{S}\cdot\frac{e^{z_i}}{S} \\
&= p_j\bigl([i = j] - p_i\bigr).
\end{aligned}$$

The diagonal is $p_i(1 - p_i) > 0$, the rest $-p_i p_j < 0$: if a score increases, its own probability increases and all others decrease. Multiplying by $\bar p$ from above gives

$$\begin{aligned}\bar z_i &= \sum_j \bar p_j\, p_j\bigl([i = j] - p_i\bigr) \\ &= p_i\Bigl(\bar p_i - \sum_j \bar p_j p_j\Bigr).\end{aligned}$$

The sum in the parentheses is the same for all $i$, so the Jacobian need not be built.
"""

# %%
import numpy as np

from autolm import Tensor, attention, cross_entropy, layer_norm

np.set_printoptions(precision=4, suppress=True)
z = Tensor([0.2, -0.4, 1.0], name="z")
p = z.softmax()
jacobian = np.diag(p.data) - np.outer(p.data, p.data)
upstream = np.array([1.0, 0.0, -2.0])
p.backward(upstream)
print("p =", p.data)
print("∂p/∂z =")
print(jacobian)
print("jacobian · ḡ     ", jacobian @ upstream)
print("p (ḡ − Σ ḡ p)    ", p.data * (upstream - upstream @ p.data))
print("engine           ", z.grad)

# %% [markdown] lang="ko"
r"""
행마다 더하면 0입니다. 확률의 합이 언제나 1이기 때문입니다.

(cross-entropy-derivation)=
## 2. 교차 엔트로피 + 소프트맥스

$L = -\ln p_t$이면 $\bar p_j = -[j = t]/p_t$입니다. 1절의 공식에 대입하면

$$\begin{aligned}
\bar z_i &= p_i\Bigl(\bar p_i - \sum_j \bar p_j p_j\Bigr) \\
&= p_i\Bigl(-\frac{[i = t]}{p_t} + \frac{p_t}{p_t}\Bigr) \\
&= p_i - [i = t]\,\frac{p_i}{p_t} = p_i - [i = t].
\end{aligned}$$

나눗셈이 사라집니다. 그래서 `cross_entropy`는 소프트맥스와 로그를 한 연산으로 합니다. 따로 하면 $p_t$가 0에 가까울 때 $\ln 0 = -\infty$가 되어,
강의의 코드는 $\ln(p + 10^{-10})$을 씁니다. 그러나 이렇게 하면 손실이 틀리고($-\ln 10^{-10} \approx 23$보다 커지지 않습니다), 기울기도 틀립니다. 로그-소프트맥스 $\ln p_t = z_t - \max z - \ln\sum e^{z_k - \max z}$에는 아무것도 더할 필요가 없습니다.
"""

# %% [markdown] lang="en"
r"""
Each row adds up to 0, because probabilities always add up to 1.

(cross-entropy-derivation)=
## 2. Cross entropy + softmax

For $L = -\ln p_t$ we have $\bar p_j = -[j = t]/p_t$. Substituting this into the formula of section 1,

$$\begin{aligned}
\bar z_i &= p_i\Bigl(\bar p_i - \sum_j \bar p_j p_j\Bigr) \\
&= p_i\Bigl(-\frac{[i = t]}{p_t} + \frac{p_t}{p_t}\Bigr) \\
&= p_i - [i = t]\,\frac{p_i}{p_t} = p_i - [i = t].
\end{aligned}$$

The division cancels. That is why `cross_entropy` is one operation. In separate steps, a $p_t$ near 0 gives $\ln 0 = -\infty$, and the published lesson's code uses
$\ln(p + 10^{-10})$. This makes the loss wrong (it cannot exceed $-\ln 10^{-10} \approx 23$), and the gradient too. Log-softmax,
$\ln p_t = z_t - \max z - \ln\sum e^{z_k - \max z}$, needs nothing added.
"""

# %%
logits = Tensor([60.0, 0.0, -20.0], name="z")
loss = cross_entropy(logits, targets=np.array(2))
loss.backward()
probability = logits.softmax().data[2]
print(
    f"p = {probability:.3e}   L = {loss.item():.4f}   −ln(p + 1e-10) = {-np.log(probability + 1e-10):.4f}"
)
print("∂L/∂z         ", logits.grad)
wrong = Tensor(logits.data, name="z")
(-(wrong.softmax()[2] + 1e-10).log()).backward()
print("with + 1e-10  ", wrong.grad)

# %% [markdown] lang="ko"
r"""
모델이 완전히 틀렸는데도 $10^{-10}$을 더하면 기울기가 0이어서 아무것도 배우지 못합니다.

(layer-norm-derivation)=
## 3. 층 정규화

$\mu = \frac1d\sum x_i$, $\;v = \frac1d\sum (x_i - \mu)^2 + \varepsilon$, $\;\sigma = \sqrt v$, $\;\hat x_j = (x_j - \mu)/\sigma$. 먼저 $\mu$와 $\sigma$의 미분입니다.

$$\begin{aligned}
\frac{\partial \mu}{\partial x_i} &= \frac1d, \\
\frac{\partial v}{\partial x_i} &= \frac1d \sum_k 2(x_k - \mu)\Bigl([i = k] - \frac1d\Bigr) \\
&= \frac2d (x_i - \mu) - \frac{2}{d^2}\underbrace{\sum_k (x_k - \mu)}_{=\,0} \\
&= \frac2d (x_i - \mu), \\
\frac{\partial \sigma}{\partial x_i} &= \frac{1}{2\sigma}\,\frac{\partial v}{\partial x_i} = \frac{x_i - \mu}{d\,\sigma} = \frac{\hat x_i}{d}.
\end{aligned}$$

몫의 미분법에 의해

$$\begin{aligned}\frac{\partial \hat x_j}{\partial x_i}
&= \frac{[i = j] - \frac1d}{\sigma} - \frac{x_j - \mu}{\sigma^2}\cdot\frac{\hat x_i}{d} \\
&= \frac1\sigma\Bigl([i = j] - \frac1d - \frac{\hat x_i \hat x_j}{d}\Bigr).\end{aligned}$$

위에서 온 기울기를 곱해서 더합니다. $\hat x_i$는 합과 관계가 없으므로 앞으로 꺼내고, 평균을 $\langle\cdot\rangle = \frac1d\sum_j$로 쓰면

$$\begin{aligned}\bar x_i &= \sum_j \bar{\hat x}_j \frac{\partial \hat x_j}{\partial x_i} \\
&= \frac1\sigma\Bigl(\bar{\hat x}_i - \frac1d\sum_j \bar{\hat x}_j - \hat x_i\,\frac1d\sum_j \bar{\hat x}_j \hat x_j\Bigr)\end{aligned}$$

$$\bar x_i = \frac1\sigma\Bigl(\bar{\hat x}_i - \langle \bar{\hat x} \rangle - \hat x_i \langle \bar{\hat x} \odot \hat x \rangle\Bigr).$$

**$\gamma$와 $\beta$.** 층 정규화는 마지막에 $y_i = \gamma_i \hat x_i + \beta_i$를 계산합니다(9강). $y_i$는 $\gamma_i$의 일차함수이고 미분은 $\hat x_i$, $\beta_i$에 대한 미분은 1입니다.
$\gamma_i$와 $\beta_i$는 모든 토큰 $t$에 똑같이 쓰이므로 토큰마다 온 기울기를 더합니다. 또 $\hat x$로 가는 기울기에는 $\gamma$가 곱해집니다.

$$\bar\gamma_i = \sum_t \bar y_{ti}\, \hat x_{ti}, \qquad \bar\beta_i = \sum_t \bar y_{ti}, \qquad \bar{\hat x}_i = \gamma_i\, \bar y_i .$$

기울기에서 두 가지가 빠집니다. 평균 방향(모두 함께 움직이는 것)과 $\hat x$ 방향(모두 함께 커지는 것)입니다. 정규화가 지워 버린 바로 그 두 가지입니다.
"""

# %% [markdown] lang="en"
r"""
The model is completely wrong, but adding $10^{-10}$ makes the gradient 0, so it learns nothing.

(layer-norm-derivation)=
## 3. Layer norm

$\mu = \frac1d\sum x_i$, $\;v = \frac1d\sum (x_i - \mu)^2 + \varepsilon$, $\;\sigma = \sqrt v$, $\;\hat x_j = (x_j - \mu)/\sigma$. First the derivatives of $\mu$ and $\sigma$:

$$\begin{aligned}
\frac{\partial \mu}{\partial x_i} &= \frac1d, \\
\frac{\partial v}{\partial x_i} &= \frac1d \sum_k 2(x_k - \mu)\Bigl([i = k] - \frac1d\Bigr) \\
&= \frac2d (x_i - \mu) - \frac{2}{d^2}\underbrace{\sum_k (x_k - \mu)}_{=\,0} \\
&= \frac2d (x_i - \mu), \\
\frac{\partial \sigma}{\partial x_i} &= \frac{1}{2\sigma}\,\frac{\partial v}{\partial x_i} = \frac{x_i - \mu}{d\,\sigma} = \frac{\hat x_i}{d}.
\end{aligned}$$

By the quotient rule

$$\begin{aligned}\frac{\partial \hat x_j}{\partial x_i}
&= \frac{[i = j] - \frac1d}{\sigma} - \frac{x_j - \mu}{\sigma^2}\cdot\frac{\hat x_i}{d} \\
&= \frac1\sigma\Bigl([i = j] - \frac1d - \frac{\hat x_i \hat x_j}{d}\Bigr).\end{aligned}$$

We multiply by the gradient from above and sum over $j$. Since $\hat x_i$ does not depend on $j$, it can be taken out of the sum. Writing $\langle\cdot\rangle = \frac1d\sum_j$ for the mean,

$$\begin{aligned}\bar x_i &= \sum_j \bar{\hat x}_j \frac{\partial \hat x_j}{\partial x_i} \\
&= \frac1\sigma\Bigl(\bar{\hat x}_i - \frac1d\sum_j \bar{\hat x}_j - \hat x_i\,\frac1d\sum_j \bar{\hat x}_j \hat x_j\Bigr)\end{aligned}$$

$$\bar x_i = \frac1\sigma\Bigl(\bar{\hat x}_i - \langle \bar{\hat x} \rangle - \hat x_i \langle \bar{\hat x} \odot \hat x \rangle\Bigr).$$

**$\gamma$ and $\beta$.** Layer norm ends with $y_i = \gamma_i \hat x_i + \beta_i$ (lesson 9). The derivative of $y_i$ with respect to $\gamma_i$ is $\hat x_i$, and with respect to $\beta_i$ it is 1.
All tokens $t$ use the same $\gamma_i$ and $\beta_i$, so the gradients of all tokens are added; and the gradient for $\hat x$ is multiplied by $\gamma$.

$$\bar\gamma_i = \sum_t \bar y_{ti}\, \hat x_{ti}, \qquad \bar\beta_i = \sum_t \bar y_{ti}, \qquad \bar{\hat x}_i = \gamma_i\, \bar y_i .$$

Two components are removed from the gradient: its mean (all moving together) and its part along $\hat x$ (all growing together). The normalization had removed exactly these two.
"""

# %%
x = Tensor([1.0, 2.0, 3.0, 6.0], name="x")
gain, bias = Tensor(np.ones(4), name="γ"), Tensor(np.zeros(4), name="β")
y = layer_norm(x, gain, bias, eps=1e-5)
upstream = np.array([1.0, 0.0, -1.0, 0.5])
y.backward(upstream)
sigma = np.sqrt(x.data.var() + 1e-5)
normal = (x.data - x.data.mean()) / sigma
rule = (upstream - upstream.mean() - normal * (upstream * normal).mean()) / sigma
print("x̂      ", normal)
print("rule   ", rule)
print("engine ", x.grad)
print(f"Σ x̄ = {abs(rule.sum()):.4f}   Σ x̄ x̂ = {abs((rule * normal).sum()):.4f}")
print("γ̄ rule ", upstream * normal, "  engine", gain.grad)
print("β̄ rule ", upstream, "  engine", bias.grad)

# %% [markdown] lang="ko"
r"""
마지막 합이 정확히 0이 되지 않는 것은 $\varepsilon$ 때문입니다(여기서는 소수 넷째 자리까지 0입니다).

(residual-derivation)=
## 4. 잔차 연결

$y = x + f(x)$이면 $\dfrac{\partial y}{\partial x} = I + \dfrac{\partial f}{\partial x}$, 따라서

$$\bar x = \bar y + \Bigl(\frac{\partial f}{\partial x}\Bigr)^{\mathsf T}\bar y .$$

첫째 항은 $f$를 거치지 않습니다. 블록 $N$개를 지나면 $\bar x$에는 $\bar y$가 **그대로** 한 번 들어 있습니다. 잔차가 없으면 야코비 행렬 $N$개의
곱뿐이고, 곱은 층마다 작아지거나 커집니다. 층 24개에서 계산해 봅시다. 층은 $f(x) = \tanh(xW)$, $W$의 성분의 표준편차는 $0.5/\sqrt d$입니다.
"""

# %% [markdown] lang="en"
r"""
The last sum is not exactly 0 because of $\varepsilon$ (here it is 0 to four decimal places).

(residual-derivation)=
## 4. The residual connection

For $y = x + f(x)$ we have $\dfrac{\partial y}{\partial x} = I + \dfrac{\partial f}{\partial x}$, hence

$$\bar x = \bar y + \Bigl(\frac{\partial f}{\partial x}\Bigr)^{\mathsf T}\bar y .$$

The first term does not pass through $f$. Through $N$ blocks, $\bar x$ has $\bar y$ in it once, **unchanged**. Without residuals there is only a product of
$N$ Jacobians, which shrinks or grows with every layer. We measure this for 24 layers $f(x) = \tanh(xW)$, where the numbers of $W$ have a standard deviation of
$0.5/\sqrt d$:
"""

# %%
rng = np.random.default_rng(4)
d, depth = 32, 24
matrices = [rng.normal(size=(d, d)) * 0.5 / np.sqrt(d) for _ in range(depth)]
start, seed = rng.normal(size=(1, d)), rng.normal(size=(1, d))
print("layer        24       16        8        0")
for name, share in (("f(x)", 0), ("x + f(x)", 1)):
    h = [Tensor(start)]
    for W in matrices:
        h.append(h[-1] * share + (h[-1] @ W).tanh())
    h[-1].backward(seed, retain_grads=True)
    norms = [np.linalg.norm(h[layer].grad) / np.linalg.norm(seed) for layer in (24, 16, 8, 0)]
    print(f"{name:9}" + "".join(f"{number:9.1e}" for number in norms))

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 위의 표에서 잔차가 없는 모델의 첫 층이 거의 배우지 못하는 까닭은 무엇입니까?

```{choose} 2
학습률이 너무 작기 때문입니다
: 표의 수는 학습률을 곱하기 전의 기울기입니다. 학습률을 키우면 마지막 층이 먼저 발산합니다.

야코비 행렬 24개를 곱하면서 기울기가 거의 0이 되기 때문입니다
: 층마다 크기가 줄어드는 행렬을 곱하므로 지수함수처럼 작아집니다. 잔차가 있으면 $\bar y$가 한 번은 그대로 전달됩니다.

첫 층의 미분은 정의되지 않기 때문입니다
: 미분은 정의됩니다. 값이 매우 작을 뿐입니다.
```

(attention-derivation)=
## 5. 어텐션

한 헤드: $S = QK^{\mathsf T}/\sqrt{d_k}$, $\;A = \mathrm{softmax}(S)$ (행마다), $\;O = AV$. 출력 $Y = OW_O$에서 시작해 거꾸로 갑니다.

**(가) $Y = OW_O$.** 역시 행렬곱이므로 $\quad\bar O = \bar Y W_O^{\mathsf T}, \qquad \bar W_O = O^{\mathsf T}\bar Y.$

**(나) $O = AV$.** 행렬곱의 규칙(3강)에 의해 $\quad\bar A = \bar O V^{\mathsf T}, \qquad \bar V = A^{\mathsf T}\bar O.$

**(다) $A = \mathrm{softmax}(S)$.** 행마다 1절의 공식을 쓰면 $\quad\bar S_{ij} = A_{ij}\bigl(\bar A_{ij} - \sum_k \bar A_{ik}A_{ik}\bigr).$
가려진 칸은 $A_{ij} = 0$이므로 $\bar S_{ij} = 0$입니다. 마스크를 위한 규칙이 따로 필요 없습니다.

**(라) $S = QK^{\mathsf T}/\sqrt{d_k}$.** $S_{ij} = \frac{1}{\sqrt{d_k}}\sum_c Q_{ic}K_{jc}$이므로

$$\bar Q_{ic} = \sum_j \bar S_{ij}\frac{K_{jc}}{\sqrt{d_k}} \Rightarrow \bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad
\bar K_{jc} = \sum_i \bar S_{ij}\frac{Q_{ic}}{\sqrt{d_k}} \Rightarrow \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}} .$$

**(마) $Q = xW_Q$, $K = xW_K$, $V = xW_V$.** $x$는 세 번 쓰이므로 세 기울기가 더해집니다.

$$\bar W_Q = x^{\mathsf T}\bar Q, \quad \bar W_K = x^{\mathsf T}\bar K, \quad \bar W_V = x^{\mathsf T}\bar V, \qquad
\bar x = \bar Q W_Q^{\mathsf T} + \bar K W_K^{\mathsf T} + \bar V W_V^{\mathsf T} .$$
"""

# %% [markdown] lang="en"
r"""
**Think first.** In the table above, why does the first layer of the model without residuals hardly learn?

```{choose} 2
The learning rate is too small.
: The table shows gradients before any learning rate is applied. With a larger one, the last layers would diverge first.

The product of 24 Jacobians makes its gradient almost 0.
: Each factor shrinks the gradient, so it decreases exponentially with depth. With residuals, $\bar y$ also arrives once unchanged.

The derivative of the first layer is undefined.
: It is defined. It is just very small.
```

(attention-derivation)=
## 5. Attention

One head: $S = QK^{\mathsf T}/\sqrt{d_k}$, $\;A = \mathrm{softmax}(S)$ by rows, $\;O = AV$. We go back from the output $Y = OW_O$.

**(a) $Y = OW_O$.** This is a matrix product, so $\quad\bar O = \bar Y W_O^{\mathsf T}, \qquad \bar W_O = O^{\mathsf T}\bar Y.$

**(b) $O = AV$.** By the rule of the matrix product (lesson 3) $\quad\bar A = \bar O V^{\mathsf T}, \qquad \bar V = A^{\mathsf T}\bar O.$

**(c) $A = \mathrm{softmax}(S)$.** By section 1, in each row, $\quad\bar S_{ij} = A_{ij}\bigl(\bar A_{ij} - \sum_k \bar A_{ik}A_{ik}\bigr).$ Masked cells have $A_{ij} = 0$, so
$\bar S_{ij} = 0$: the mask needs no rule of its own.

**(d) $S = QK^{\mathsf T}/\sqrt{d_k}$.** From $S_{ij} = \frac{1}{\sqrt{d_k}}\sum_c Q_{ic}K_{jc}$,

$$\bar Q_{ic} = \sum_j \bar S_{ij}\frac{K_{jc}}{\sqrt{d_k}} \Rightarrow \bar Q = \frac{\bar S K}{\sqrt{d_k}}, \qquad
\bar K_{jc} = \sum_i \bar S_{ij}\frac{Q_{ic}}{\sqrt{d_k}} \Rightarrow \bar K = \frac{\bar S^{\mathsf T} Q}{\sqrt{d_k}} .$$

**(e) $Q = xW_Q$, $K = xW_K$, $V = xW_V$.** $x$ is used three times, so three gradients add up:

$$\bar W_Q = x^{\mathsf T}\bar Q, \quad \bar W_K = x^{\mathsf T}\bar K, \quad \bar W_V = x^{\mathsf T}\bar V, \qquad
\bar x = \bar Q W_Q^{\mathsf T} + \bar K W_K^{\mathsf T} + \bar V W_V^{\mathsf T} .$$
"""

# %%
T, d_k = 3, 2
x = Tensor(rng.normal(size=(T, d_k)).round(1), name="x")
W_Q, W_K, W_V = (Tensor(rng.normal(size=(d_k, d_k)).round(1), name=f"W_{c}") for c in "QKV")
Y_bar = rng.normal(size=(T, d_k)).round(1)
W_O = Tensor(rng.normal(size=(d_k, d_k)).round(1), name="W_O")
(attention(x @ W_Q, x @ W_K, x @ W_V, causal=True) @ W_O).backward(Y_bar)

Q, K, V = x.data @ W_Q.data, x.data @ W_K.data, x.data @ W_V.data
S = np.where(np.tri(T, dtype=bool), Q @ K.T / np.sqrt(d_k), -np.inf)
A = np.exp(S - S.max(1, keepdims=True))
A /= A.sum(1, keepdims=True)
O_bar, W_O_bar = Y_bar @ W_O.data.T, (A @ V).T @ Y_bar
A_bar, V_bar = O_bar @ V.T, A.T @ O_bar
S_bar = A * (A_bar - (A_bar * A).sum(1, keepdims=True))
Q_bar, K_bar = S_bar @ K / np.sqrt(d_k), S_bar.T @ Q / np.sqrt(d_k)
x_bar = Q_bar @ W_Q.data.T + K_bar @ W_K.data.T + V_bar @ W_V.data.T
print("S̄ =")
print(S_bar)
for name, by_rule, engine in (
    ("W_O", W_O_bar, W_O.grad),
    ("W_Q", x.data.T @ Q_bar, W_Q.grad),
    ("W_K", x.data.T @ K_bar, W_K.grad),
    ("W_V", x.data.T @ V_bar, W_V.grad),
    ("x", x_bar, x.grad),
):
    print(f"{name:4} rule {by_rule.ravel()[:4]}   engine {engine.ravel()[:4]}")

# %% [markdown] lang="ko"
r"""
## 들여다보기

5절의 모든 행렬입니다. 순전파에서 $S$와 $A$를 보고, 역전파에서 $\bar A$, $\bar S$의 행마다 합이 0인지 확인하세요. 빗금 친 칸은 마스크가 가린 곳입니다.
"""

# %% [markdown] lang="en"
r"""
## Look into it

All matrices of section 5: see $S$ and $A$ in the forward pass; in the backward pass, check that the rows of $\bar S$ add up to 0. Hatched cells are hidden by the mask.
"""

# %%
derived = (attention(x @ W_Q, x @ W_K, x @ W_V, causal=True) * O_bar).sum()

# %% [markdown] lang="ko"
r"""
```{player} derived
4: 어텐션
10: 거꾸로: 어텐션
13: 거꾸로: W_Q
```

## 직접 실행하기

```{run}
from autolm import Value

z = [Value(x) for x in (0.2, -0.4, 1.0)]
e = [x.exp() for x in z]
p = [x / Value.sum(e) for x in e]
for j in range(3):
    for x in z:
        x.grad = 0
    p[j].backward()
    rule = [p[j].data * ((i == j) - p[i].data) for i in range(3)]
    print([round(x.grad, 4) for x in z], [round(r, 4) for r in rule])
```

## 연습문제

**1. 규칙을 쓰세요.** 세 점수의 소프트맥스에서 첫 확률 $p_1 = \dfrac{e^a}{e^a + e^b + e^c}$. 야코비 행렬의 첫 행입니다.

```{exercise} softmax_first
∂p₁/∂a = p₁(1 − p₁). 나머지는 −p₁ 곱하기 무엇입니까?
p₂ = e^b / 합, p₃ = e^c / 합을 먼저 구하세요.
```

**2. 규칙을 쓰세요.** 층 정규화의 첫 단계, 평균 빼기: 세 수의 첫째 $y = a - \dfrac{a + b + c}{3}$.

```{exercise} centred
a는 두 번 나옵니다. 한 번은 그대로, 한 번은 평균 속에.
```

**3. 값을 예측하세요.** 점수 둘이 같을 때($p = (0.5, 0.5)$), $\partial p_1/\partial z_2$는?

```{predict} -0.5 * 0.5

$i \ne j$이면 $\partial p_j/\partial z_i = -p_i p_j$입니다.

$-\frac12 \cdot \frac12 = -\frac14$.
```

**4. 틀린 규칙을 찾으세요.** 잔차 블록 두 개 $y = x + ax$, $z = y + by$를 합친 $z = x(1 + a)(1 + b)$입니다.

```{exercise} two_blocks
x에서 z까지 경로가 네 개 있습니다: 1, a, b, ab.
a에 대한 미분에 무엇이 곱해져야 합니까?
```

**5. 만들어 보세요.** 층 정규화 `layer_norm(x, gamma, beta)`와 그 역전파를 쓰세요. `backward(x, gamma, upstream)`은 $\bar x$, $\bar\gamma$, $\bar\beta$의 리스트 세 개를 돌려줍니다.

```{build} normalise
순전파: σ에는 ε이 들어 있습니다.
역전파: 먼저 h = γ ⊙ ȳ를 구하고 3절의 공식을 쓰세요.
```
"""

# %% [markdown] lang="en"
r"""
```{player} derived
4: attention
10: back: attention
13: back: W_Q
```

## Run it yourself

```{run}
from autolm import Value

z = [Value(x) for x in (0.2, -0.4, 1.0)]
e = [x.exp() for x in z]
p = [x / Value.sum(e) for x in e]
for j in range(3):
    for x in z:
        x.grad = 0
    p[j].backward()
    rule = [p[j].data * ((i == j) - p[i].data) for i in range(3)]
    print([round(x.grad, 4) for x in z], [round(r, 4) for r in rule])
```

## Exercises

**1. Write the rule.** The first probability of three scores, $p_1 = \dfrac{e^a}{e^a + e^b + e^c}$: a row of the Jacobian.

```{exercise} softmax_first
∂p₁/∂a = p₁(1 − p₁). The others are −p₁ times what?
Find p₂ = e^b / sum and p₃ = e^c / sum first.
```

**2. Write the rule.** Layer norm first subtracts the mean. For the first of three numbers this is $y = a - \dfrac{a + b + c}{3}$.

```{exercise} centred
a occurs twice: once by itself, once in the mean.
```

**3. Predict.** For two equal scores ($p = (0.5, 0.5)$), what is $\partial p_1/\partial z_2$?

```{predict} -0.5 * 0.5

For $i \ne j$, $\partial p_j/\partial z_i = -p_i p_j$.

$-\frac12 \cdot \frac12 = -\frac14$.
```

**4. Find the wrong rule.** Two residual blocks, $y = x + ax$ and $z = y + by$, give $z = x(1 + a)(1 + b)$ together.

```{exercise} two_blocks
Four paths lead from x to z: 1, a, b, ab.
By what must the derivative with respect to a be multiplied?
```

**5. Build it.** Write layer norm, `layer_norm(x, gamma, beta)`, and its backward pass: `backward(x, gamma, upstream)` returns three lists, $\bar x$, $\bar\gamma$ and $\bar\beta$.

```{build} normalise
Forward: σ contains ε.
Backward: compute h = γ ⊙ ȳ first, and use the formula of section 3.
```
"""
