# %% [markdown] lang="ko"
r"""
# LLM 학습의 완전한 수학

```{toctree}
:caption: 1부 · 숫자 하나에서 언어 모델까지

lessons/01_scalars_and_the_chain_rule
```
"""

# %% [markdown] lang="en"
r"""
# The whole mathematics of training a language model

```{toctree}
:caption: Part 1 · from one number to a language model

lessons/01_scalars_and_the_chain_rule
```
"""
