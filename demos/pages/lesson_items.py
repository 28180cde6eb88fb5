# %% [markdown] lang="ko"
r"""
# 강의의 70개 항목, 하나하나

이 과정은 한국어 강의 "LLM 학습의 완전한 수학"(연재 47일째)을 따라갑니다. 그 강의가 말하는 70개 항목이 각각 이 과정의 어디에 있는지입니다.

```{items}
```
"""

# %% [markdown] lang="en"
r"""
# The 70 items of the lesson, one by one

This course follows a Korean lesson, "LLM 학습의 완전한 수학" (the complete mathematics of LLM training, day 47 of a series). The table shows where this course teaches each of its 70 items.

```{items}
```
"""
