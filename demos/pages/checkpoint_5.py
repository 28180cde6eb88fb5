# %% [markdown] lang="ko"
r"""
# 체크포인트 5: 같은 원리, 다른 규모

**1.** TinyLM과 GPT-3에서 **같은** 것 다섯 가지를 쓰세요.

```{write}
```

```{answer}
다음 토큰을 예측하는 것, 임베딩과 위치, 인과 마스크가 있는 어텐션과 피드포워드의 블록, 잔차 연결과 층 정규화, 교차 엔트로피를 역전파와 Adam으로 줄이는 것입니다. [16강](#gpt3-shape)
```

**2.** 다른 것은?

```{write}
```

```{answer}
규모입니다: 층 96, 폭 12 288, 헤드 96, 어휘 50 257, 토큰 3천억. 작은 차이로는 GELU와 학습되는 위치가 있고, Llama는 RMSNorm, RoPE, SwiGLU를 씁니다. [18강](#llama-block)
```

**3.** 예측하세요. $12 N d^2$으로 세면, $N = 12,\; d = 768$(GPT-2 small)의 블록들의 파라미터는 몇 백만 개입니까?

```{predict} 12 * 12 * 768**2 / 1e6
:within: 0.02
```

**4.** 예측하세요. 파라미터 하나와 토큰 하나에 6 FLOP이면, 파라미터 10만 개로 토큰 100만 개를 학습하는 데 몇 FLOP이 듭니까? ($10^{11}$을 단위로)

```{predict} 6 * 1e5 * 1e6 / 1e11
```

## 답하는 숫자
"""

# %% [markdown] lang="en"
r"""
# Checkpoint 5: the same principles, a larger scale

**1.** Name five things that are **the same** in TinyLM and in GPT-3.

```{write}
```

```{answer}
Predicting the next token; embeddings and positions; blocks of causal attention and feed-forward; residual connections and layer norm; cross entropy, minimized by backpropagation and Adam. [Lesson 16](#gpt3-shape)
```

**2.** What is different?

```{write}
```

```{answer}
The scale: 96 layers, a width of 12 288, 96 heads, 50 257 tokens, 300 billion training tokens. There are also small differences: GELU and learned positions; in Llama, RMSNorm, RoPE and SwiGLU. [Lesson 18](#llama-block)
```

**3.** Predict: by $12 N d^2$, how many million parameters are in the blocks with $N = 12,\; d = 768$ (GPT-2 small)?

```{predict} 12 * 12 * 768**2 / 1e6
:within: 0.02
```

**4.** Predict: at 6 FLOPs for each parameter and token, how many FLOPs does it take to train 100 000 parameters on a million tokens? (In units of $10^{11}$)

```{predict} 6 * 1e5 * 1e6 / 1e11
```

## The numbers that answer
"""

# %% tags=["hide-cell"]
print("            layers   d_model        12·N·d²")
for name, layers, width in (("TinyLM", 2, 64), ("GPT-2 small", 12, 768), ("GPT-3", 96, 12288)):
    print(f"{name:12}{layers:6}{width:10}{12 * layers * width**2:18,}")
print(f"6 · 1e5 · 1e6 = {6 * 1e5 * 1e6:.0e}")
