# %% [markdown] lang="ko"
r"""
(mathematics-map)=
# 수학 지도: 어디에 어떤 수학이 쓰이는가

행은 언어 모델의 단계, 열은 수학의 분야입니다. 칸을 누르면 그것을 유도하고 계산하는 곳으로 갑니다.

| 단계 | 선형대수 | 함수와 미적분 | 확률과 정보 |
| --- | --- | --- | --- |
| **토큰** | [원-핫 벡터](#embedding) | | [BPE: 자주 나오면 짧게](#bpe-real-text) |
| **임베딩** | [행을 고르기 = 원-핫 × 행렬](#embedding) | | |
| **위치** | [회전 행렬](#why-sines) | [사인, 코사인, 덧셈정리](#positional-formula) | |
| **어텐션** | [내적 QKᵀ, 전치](#attention-scores), [코사인](#unit-vectors), [가중합](#attention-output) | [지수함수](#softmax) | [분산: 왜 √d_k](#sqrt-dk), [가중치 = 확률](#attention-weights) |
| **멀티헤드** | [쪼개고 잇기](#split-heads) | | |
| **피드포워드** | [행렬곱](#vectors-and-matrices) | [ReLU와 그 그래프](#curves) | |
| **잔차, 정규화** | [벡터의 덧셈과 크기](#three-normalisations) | | [평균, 분산](#layer-norm-forward) |
| **출력** | [hidden · W_out](#output-layer) | [소프트맥스](#softmax) | [조건부 확률](#softmax) |
| **손실** | | [로그](#curves) | [교차 엔트로피, 엔트로피](#cross-entropy), [퍼플렉시티](#perplexity) |
| **역전파** | [전치행렬 곱하기](#matrix-product-backward), [야코비 행렬](#softmax-jacobian) | [연쇄법칙](#chain-rule), [편미분](#chain-rule), [모든 유도](#layer-norm-derivation) | [p − y](#softmax-minus-one-hot) |
| **최적화** | [기울기의 크기와 클리핑](#clipping) | [경사하강법](#gradient-descent), [Adam](#adam), [스케줄](#warmup-cosine) | [이동평균](#adam) |
| **평가** | | | [기준선과 엔트로피](#loss-ladder) |
| **생성** | | | [argmax, 온도, 표집](#predict-one-token) |

순전파는 표를 위에서 아래로, 역전파는 손실에서 다시 위로 갑니다.

$$\underbrace{\text{토큰} \to E + PE \to \bigl[\text{어텐션} \to \text{FF}\bigr]^N \to W_{\text{out}} \to p \to -\ln p}_{\text{순전파: 선형대수 + 함수}}$$

$$\underbrace{\bar L = 1 \to p - y \to \bar W_{\text{out}} \to \dots \to \bar E}_{\text{역전파: 연쇄법칙}}$$

## 한 문장씩

- **선형대수**는 정보를 옮기고 비교합니다. 내적은 두 벡터가 얼마나 비슷한지 나타내고, 행렬곱은 벡터를 새로운 좌표로 옮깁니다.
- **함수**는 비선형성을 더합니다. 지수함수는 점수를 양수로, 로그함수는 곱을 합으로 바꾸고, ReLU는 양수만 통과시킵니다.
- **확률과 정보 이론**은 목표를 정합니다. 실제로 나온 단어에 대한 놀라움의 평균을 줄이는 것입니다.
- **미적분**은 방향을 알려 줍니다. 기울기의 반대 방향이 손실이 줄어드는 방향입니다.

강의의 70개 항목이 각각 어느 강의에 있는지는 [대조표](lesson_items)에 있습니다.
"""

# %% [markdown] lang="en"
r"""
(mathematics-map)=
# The map: which mathematics is used where

Rows are the stages of a language model, columns the fields of mathematics. Each cell links to the place where it is derived and computed.

| stage | linear algebra | functions, calculus | probability, information |
| --- | --- | --- | --- |
| **tokens** | [one-hot vectors](#embedding) | | [BPE: short codes for frequent pairs](#bpe-real-text) |
| **embedding** | [pick a row = one-hot × matrix](#embedding) | | |
| **positions** | [rotation matrices](#why-sines) | [sine, cosine, addition theorems](#positional-formula) | |
| **attention** | [dot product QKᵀ, transpose](#attention-scores), [cosine](#unit-vectors), [weighted sum](#attention-output) | [exponential](#softmax) | [variance: why √d_k](#sqrt-dk), [weights = probabilities](#attention-weights) |
| **multi-head** | [split and join](#split-heads) | | |
| **feed-forward** | [matrix product](#vectors-and-matrices) | [ReLU and its curve](#curves) | |
| **residual, norm** | [sums and lengths of vectors](#three-normalisations) | | [mean, variance](#layer-norm-forward) |
| **output** | [hidden · W_out](#output-layer) | [softmax](#softmax) | [conditional probability](#softmax) |
| **loss** | | [logarithm](#curves) | [cross entropy, entropy](#cross-entropy), [perplexity](#perplexity) |
| **backward** | [multiply by a transpose](#matrix-product-backward), [Jacobian](#softmax-jacobian) | [chain rule](#chain-rule), [partial derivatives](#chain-rule), [all derivations](#layer-norm-derivation) | [p − y](#softmax-minus-one-hot) |
| **optimisation** | [length of a gradient, clipping](#clipping) | [gradient descent](#gradient-descent), [Adam](#adam), [schedules](#warmup-cosine) | [moving averages](#adam) |
| **evaluation** | | | [baselines, entropy](#loss-ladder) |
| **generation** | | | [argmax, temperature, sampling](#predict-one-token) |

The forward pass goes down this table, the backward pass up again from the loss.

$$\underbrace{\text{tokens} \to E + PE \to \bigl[\text{attention} \to \text{FF}\bigr]^N \to W_{\text{out}} \to p \to -\ln p}_{\text{forward: linear algebra + functions}}$$

$$\underbrace{\bar L = 1 \to p - y \to \bar W_{\text{out}} \to \dots \to \bar E}_{\text{backward: the chain rule}}$$

## In a sentence each

- **Linear algebra** moves and compares information: a dot product measures similarity, a matrix product gives new coordinates.
- **Functions** add nonlinearity: the exponential makes scores positive, the logarithm turns products into sums, ReLU passes only positive numbers.
- **Probability and information theory** define the goal: reduce the mean surprise at the actual words.
- **Calculus** gives the direction: the loss decreases opposite to the gradient.

[This table](lesson_items) shows where each of the lesson's 70 items is taught.
"""
