# %% [markdown] lang="ko"
r"""
# LLM 학습의 완전한 수학

언어 모델이 배우는 과정의 **모든** 수학을 처음부터 끝까지. 읽고, 보고, 한 단계씩 걷고, 페이지 안에서 실행하고, 문제를 풀면 채점됩니다. 설치할 것은 없습니다.

- **보기**: 강의마다 계산 그래프 그림과 플레이어가 있습니다. 플레이어를 누르고 ← → 키를 눌러 보세요.
- **실행**: [실행] 단추가 있는 상자는 이 페이지 안의 파이썬입니다. 숫자를 바꾸어 보세요. 처음 누를 때 몇 초 걸립니다.
- **연습문제**: 역전파 규칙을 쓰고, 값을 예측하고, 틀린 규칙을 찾습니다. 틀려도 이유는 말하지 않습니다. 힌트는 원할 때 여세요.
- **내 컴퓨터에서**: 강의마다 노트북(.ipynb)을 내려받을 수 있습니다. autolm 폴더에서 `pip install -e .`, 다음에 `autolm train`.

처음이라면 [1강](lessons/01_scalars_and_the_chain_rule)부터, 전체를 먼저 보고 싶다면 [수학 지도](pages/mathematics_map)부터.

(five-lines)=
## 다섯 줄 요약

1. **입력**: 글을 토큰으로, 토큰을 벡터로 바꾸고 위치를 더한다.
2. **처리**: 어텐션이 단어끼리 섞고, 피드포워드가 단어마다 생각한다. 잔차로 더하고 정규화한다. $N$번.
3. **출력**: 벡터를 로짓으로, 로짓을 소프트맥스로 다음 단어의 확률로 바꾼다.
4. **손실**: 실제로 온 단어의 $-\ln p$. 놀라움이다.
5. **학습**: 연쇄법칙으로 모든 파라미터의 기울기를 구하고, 반대쪽으로 조금 움직인다. 되풀이한다.

(five-checkpoints)=
## 다섯 체크포인트

배운 것을 스스로 확인하는 다섯 페이지입니다. 먼저 자기 말로 답하고, 그다음에 답과 숫자를 여세요.

1. [순전파: 글에서 확률까지](pages/checkpoint_1)
2. [손실: 놀라움을 재기](pages/checkpoint_2)
3. [역전파: 손실에서 모든 파라미터까지](pages/checkpoint_3)
4. [학습: 한 걸음, 그리고 되풀이](pages/checkpoint_4)
5. [실제 LLM: 같은 원리, 다른 규모](pages/checkpoint_5)

```{toctree}
:hidden:
:caption: 시작

pages/mathematics_map
pages/lesson_items
pages/glossary
```

```{toctree}
:hidden:
:caption: 1부 · 숫자 하나에서 GPT까지

lessons/01_scalars_and_the_chain_rule
lessons/02_a_neuron
lessons/03_tensors_and_broadcasting
lessons/05_softmax_and_cross_entropy
lessons/06_attention
lessons/09_forward_pass
lessons/11_backward_pass
lessons/13_training_and_perplexity
lessons/16_gpt3
```

```{toctree}
:hidden:
:caption: 2부 · 증명하고, 걷고, 그리기

lessons/20_check_a_gradient
lessons/21_stepping_a_neuron
lessons/22_stepping_an_attention_head
lessons/23_drawing
lessons/24_the_player
lessons/25_native_microgpt
```

```{toctree}
:hidden:
:caption: 3부 · 수학을 빠짐없이

lessons/04_functions_vectors_normalisation
lessons/07_positions
lessons/08_multi_head_attention
lessons/10_derivations
lessons/12_optimisation
lessons/14_numerical_gradients
lessons/15_bpe
```

```{toctree}
:hidden:
:caption: 4부 · 내 모델

lessons/17_the_lessons_script
lessons/18_llama
lessons/19_build_your_own
lessons/26_growing_out
lessons/27_check_a_kernel
```

```{toctree}
:hidden:
:caption: 체크포인트

pages/checkpoint_1
pages/checkpoint_2
pages/checkpoint_3
pages/checkpoint_4
pages/checkpoint_5
```

```{toctree}
:hidden:
:caption: 참고

reference/guide
reference/names
reference/commands
reference/operations
reference/architecture
pages/licences
```
"""

# %% [markdown] lang="en"
r"""
# The whole mathematics of training a language model

**All** of the mathematics by which a language model learns, from the first number on. Read it, look at it, step through it, run it in the page, and be marked. There is nothing to install.

- **Look**: each lesson has pictures of its computation, and a player. Click into it, and press ← →.
- **Run**: a box with a button "Run" is Python in this page. Change the numbers. The first time takes some seconds.
- **Exercises**: write a backward rule, predict a number, find a wrong rule. The marks do not tell the cause; hints open when you ask.
- **On your machine**: each lesson is a notebook (.ipynb) to download. In the folder of autolm, `pip install -e .`, then `autolm train`.

Begin with [lesson 1](lessons/01_scalars_and_the_chain_rule), or, to see the whole first, with [the map](pages/mathematics_map).

(five-lines)=
## In five lines

1. **Input**: a text becomes tokens, tokens vectors, and positions are added.
2. **Processing**: attention mixes the words, feed-forward thinks about each by itself; added as residuals, and normalised. $N$ times.
3. **Output**: a vector becomes logits, and by softmax the probabilities of the next word.
4. **Loss**: $-\ln p$ of the word that came: surprise.
5. **Learning**: by the chain rule, the gradient of every parameter; a small step against it; again.

(five-checkpoints)=
## Five checkpoints

Five pages to see for yourself what you know. Answer in your own words first; then open the answer and the numbers.

1. [Forward: from a text to probabilities](pages/checkpoint_1)
2. [Loss: surprise, measured](pages/checkpoint_2)
3. [Backward: from the loss to every parameter](pages/checkpoint_3)
4. [Learning: one step, and again](pages/checkpoint_4)
5. [Real models: the same, but larger](pages/checkpoint_5)

```{toctree}
:hidden:
:caption: Begin

pages/mathematics_map
pages/lesson_items
pages/glossary
```

```{toctree}
:hidden:
:caption: Part 1 · from one number to GPT

lessons/01_scalars_and_the_chain_rule
lessons/02_a_neuron
lessons/03_tensors_and_broadcasting
lessons/05_softmax_and_cross_entropy
lessons/06_attention
lessons/09_forward_pass
lessons/11_backward_pass
lessons/13_training_and_perplexity
lessons/16_gpt3
```

```{toctree}
:hidden:
:caption: Part 2 · prove, step, draw

lessons/20_check_a_gradient
lessons/21_stepping_a_neuron
lessons/22_stepping_an_attention_head
lessons/23_drawing
lessons/24_the_player
lessons/25_native_microgpt
```

```{toctree}
:hidden:
:caption: Part 3 · nothing left out

lessons/04_functions_vectors_normalisation
lessons/07_positions
lessons/08_multi_head_attention
lessons/10_derivations
lessons/12_optimisation
lessons/14_numerical_gradients
lessons/15_bpe
```

```{toctree}
:hidden:
:caption: Part 4 · a model of one's own

lessons/17_the_lessons_script
lessons/18_llama
lessons/19_build_your_own
lessons/26_growing_out
lessons/27_check_a_kernel
```

```{toctree}
:hidden:
:caption: Checkpoints

pages/checkpoint_1
pages/checkpoint_2
pages/checkpoint_3
pages/checkpoint_4
pages/checkpoint_5
```

```{toctree}
:hidden:
:caption: Reference

reference/guide
reference/names
reference/commands
reference/operations
reference/architecture
pages/licences
```
"""
