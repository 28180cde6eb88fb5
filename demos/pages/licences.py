# %% [markdown] lang="ko"
r"""
# 라이선스

이 사이트는 다른 사람들이 만든 것을 함께 담고 있습니다. 그래서 페이지는 밖에서 아무것도 가져오지 않습니다.

| 무엇 | 어디에 쓰나 | 라이선스 |
| --- | --- | --- |
| autolm | 엔진, 플레이어, 강의 | MIT: <a href="../../shared/licences/autolm.txt">전문</a> |
| KaTeX | 수식과 그 글꼴 | MIT: <a href="../../shared/licences/KaTeX.txt">전문</a> |
| Pretendard | 글꼴 | SIL OFL 1.1: <a href="../../shared/licences/Pretendard.txt">전문</a> |
| Pyodide | 페이지 안의 파이썬 | [MPL 2.0](https://www.mozilla.org/MPL/2.0/), 소스는 [github.com/pyodide/pyodide](https://github.com/pyodide/pyodide) |
| CPython | Pyodide 안의 파이썬과 표준 라이브러리 | [PSF 라이선스](https://docs.python.org/3/license.html) |
| Sphinx, Furo | 페이지의 틀 | [BSD](https://github.com/sphinx-doc/sphinx/blob/master/LICENSE.rst), [MIT](https://github.com/pradyunsg/furo/blob/main/LICENSE) |
"""

# %% [markdown] lang="en"
r"""
# Licences

This site contains the work of others, so that its pages load nothing from other servers.

| what | what for | licence |
| --- | --- | --- |
| autolm | engine, player, lessons | MIT: <a href="../../shared/licences/autolm.txt">text</a> |
| KaTeX | formulas and their fonts | MIT: <a href="../../shared/licences/KaTeX.txt">text</a> |
| Pretendard | the typeface | SIL OFL 1.1: <a href="../../shared/licences/Pretendard.txt">text</a> |
| Pyodide | Python in the page | [MPL 2.0](https://www.mozilla.org/MPL/2.0/), its source is at [github.com/pyodide/pyodide](https://github.com/pyodide/pyodide) |
| CPython | Python and its library, in Pyodide | [PSF licence](https://docs.python.org/3/license.html) |
| Sphinx, Furo | the frame of the pages | [BSD](https://github.com/sphinx-doc/sphinx/blob/master/LICENSE.rst), [MIT](https://github.com/pradyunsg/furo/blob/main/LICENSE) |
"""
