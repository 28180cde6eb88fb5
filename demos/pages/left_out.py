# %% [markdown] lang="ko"
r"""
# 다루지 않는 것

이 과정은 언어 모델 하나를 처음부터 학습시키는 데 필요한 수학을 다룹니다. 실제 LLM에서 쓰지만 여기서 다루지 않는 것과, 그것을 읽을 수 있는 곳입니다.

| 주제 | 무엇입니까 | 읽을거리 |
| --- | --- | --- |
| KV 캐시 | 글을 생성할 때 이전 토큰의 키와 밸류를 저장해 두고 다시 계산하지 않습니다. `TinyLM.generate`도 씁니다 | [Pope 외, 2022](https://arxiv.org/abs/2211.05102) |
| GQA | 헤드 여러 개가 키와 밸류를 함께 써서 캐시를 줄입니다. 큰 Llama 2와 Llama 3에 있습니다 | [Ainslie 외, 2023](https://arxiv.org/abs/2305.13245) |
| top-k, top-p | 확률이 큰 토큰 가운데서만 표집합니다. `generate`의 `top_k`, `top_p`입니다 | [Holtzman 외, 2019](https://arxiv.org/abs/1904.09751) |
| 드롭아웃 | 학습할 때 성분을 무작위로 0으로 만들어 과적합을 줄입니다 | [Srivastava 외, 2014](https://jmlr.org/papers/v15/srivastava14a.html) |
| 미세 조정, LoRA | 학습한 모델을 새 데이터로 조금 더 학습시킵니다 | [Hu 외, 2021](https://arxiv.org/abs/2106.09685) |
| RLHF, DPO | 사람의 선호에 맞추어 학습시킵니다 | [Ouyang 외, 2022](https://arxiv.org/abs/2203.02155), [Rafailov 외, 2023](https://arxiv.org/abs/2305.18290) |
| MoE | 토큰마다 피드포워드 몇 개만 골라 씁니다 | [Shazeer 외, 2017](https://arxiv.org/abs/1701.06538) |
| FlashAttention | 같은 어텐션을 메모리를 덜 쓰는 순서로 계산합니다 | [Dao 외, 2022](https://arxiv.org/abs/2205.14135) |
| 규모의 법칙 | 파라미터와 데이터의 양에 따라 손실이 얼마나 줄어드는지 나타냅니다 | [Hoffmann 외, 2022](https://arxiv.org/abs/2203.15556) |
"""

# %% [markdown] lang="en"
r"""
# What is left out

This course covers the mathematics needed to train one language model from scratch. Real LLMs use more. Here is what is left out, and where to read about it.

| topic | what it is | reading |
| --- | --- | --- |
| KV cache | stores keys and values of earlier tokens during generation instead of computing them again; `TinyLM.generate` uses one | [Pope et al., 2022](https://arxiv.org/abs/2211.05102) |
| GQA | several heads share keys and values, which makes the cache smaller; in the large Llama 2 and in Llama 3 | [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245) |
| top-k, top-p | sample only among the most probable tokens: `top_k` and `top_p` of `generate` | [Holtzman et al., 2019](https://arxiv.org/abs/1904.09751) |
| dropout | sets random components to 0 in training, against overfitting | [Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html) |
| fine-tuning, LoRA | continues the training of a trained model on new data | [Hu et al., 2021](https://arxiv.org/abs/2106.09685) |
| RLHF, DPO | trains for human preferences | [Ouyang et al., 2022](https://arxiv.org/abs/2203.02155), [Rafailov et al., 2023](https://arxiv.org/abs/2305.18290) |
| MoE | uses only some of many feed-forward layers for each token | [Shazeer et al., 2017](https://arxiv.org/abs/1701.06538) |
| FlashAttention | computes the same attention in an order that needs less memory | [Dao et al., 2022](https://arxiv.org/abs/2205.14135) |
| scaling laws | how the loss falls with parameters and data | [Hoffmann et al., 2022](https://arxiv.org/abs/2203.15556) |
"""
