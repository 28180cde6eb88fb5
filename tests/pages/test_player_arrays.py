"""The player of a language model, in a real browser: its matrices, its sentence, its update."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import autolm
from autolm import Adam, TinyLM, record_locations, topological_order
from autolm.ops import COMPOSED, PRIMITIVES
from autolm.outside.language import say_rule, speak
from autolm.pages import player
from autolm.walking.tokens import Tokens
from tests.needs import need_browser, need_renderer
from tests.pages.player_page import box_texts, opened, position

WORDS = ("the", "cat", "sat", "on", "mat", "␣", "고양이")
ENGLISH = re.compile(
    r"\b(where|else|of|all|others|at|the|ties|in|with|its|put|back|given|two|over|added|zeros|that|from"
    r"|to|by|on|new|those|row|each|for|read|along|rows|one|without|as|not)\b"
)
IN_ENGLISH = re.compile(
    r"\b(data|grad|gradient|operands?|edges?|leaf|const|constant|scope|shape|made|parameters|closed)\b"
)
IDS, TARGETS = np.array([0, 1, 2, 3, 0]), np.array([1, 2, 3, 0, 4])


def trained(**options):
    model = TinyLM(7, 8, 2, 16, 1, dtype="float64", seed=3)
    for _ in range(20):
        model.train_step(IDS, TARGETS, 0.1)
    return model, model.compute_loss(IDS, TARGETS)


@pytest.fixture(scope="module")
def model_player(tmp_path_factory):
    need_renderer()
    need_browser()
    model, _ = trained()
    with record_locations():
        loss = model.compute_loss(IDS, TARGETS)
    path = tmp_path_factory.mktemp("arrays") / "model.html"
    player(loss, path, tokens=Tokens((), {}, WORDS))
    return model, loss, path


def nodes(loss):
    loss.backward(retain_grads=True)
    return {node.name: node for node in topological_order(loss) if node.name}


def table(page, name):
    """Read a table: its row headers, its numbers, where a mask hides them, whether it is seen."""
    return page.evaluate(
        f"""(() => {{
            const table = document.querySelector('table[data-matrix="{name}"]');
            if (!table) return null;
            const rows = [...table.querySelectorAll("tbody tr")];
            return {{
              heads: rows.map((row) => row.querySelector("th").textContent),
              columns: [...table.querySelectorAll("thead th")].map((th) => th.textContent),
              values: rows.map((row) => [...row.querySelectorAll("td[data-value]")]
                  .map((td) => td.dataset.value)),
              masked: rows.map((row) => [...row.querySelectorAll("td[data-value]")]
                  .map((td) => td.hasAttribute("data-masked"))),
              sums: [...table.querySelectorAll("td.sum")].map((td) => td.textContent),
              isSeen: table.checkVisibility() }}; }})()"""
    )


def numbers(read):
    return np.array([[float(value) for value in row] for row in read["values"]])


@pytest.fixture
def page(browser, model_player):
    yield opened(browser, model_player[2])
    assert browser.problems == []


def open_at(browser, model_player, fragment):
    browser.open_url(f"{model_player[2].as_uri()}#{fragment}")
    return browser


def test_an_open_part_shows_its_matrices_with_tokens_and_whole_numbers(browser, model_player):
    by_name = nodes(model_player[1])
    page = open_at(browser, model_player, "open=blocks.0.attention")
    words = [WORDS[i] for i in IDS]
    for name in ("q", "k", "v", "attention"):
        read = table(page, name)
        assert read["isSeen"] and read["heads"] == words
        assert np.array_equal(numbers(read), by_name[name].data)
        assert not np.any(read["masked"])
    weights = table(page, "weights")
    assert (weights["heads"], weights["columns"]) == (words, words)
    for name in ("mask", "products", "scores", "masked_scores", "weights"):
        assert np.array_equal(table(page, name)["masked"], ~np.tri(5, dtype=bool)), name
    assert np.allclose(numbers(weights).sum(1), 1)
    assert weights["sums"] == ["Σ 1"] * 5
    assert np.array_equal(numbers(table(page, "masked_scores")) == -np.inf, ~np.tri(5, dtype=bool))
    q, k = (by_name[name].data[:, :4] for name in "qk")
    assert np.allclose(numbers(table(page, "scores")), q @ k.T / 2, rtol=1e-12)
    page.evaluate(
        """(() => { const head = document.querySelector("[data-lead=heads]");
            head.value = "1"; head.dispatchEvent(new Event("change")); })()"""
    )
    q, k = (by_name[name].data[:, 4:] for name in "qk")
    assert np.allclose(numbers(table(page, "scores")), q @ k.T / 2, rtol=1e-12)
    # Gradients are in the page, and hidden as long as the pass has not come to them.
    assert not table(page, "grad-weights")["isSeen"]
    page.press("End")
    assert table(page, "grad-weights")["isSeen"]
    assert table(page, "grad-scores")["sums"] == ["Σ 0"] * 5
    assert np.array_equal(numbers(table(page, "grad-q")), by_name["q"].grad)


def test_it_never_shows_the_future(page):
    """At each step only what is computed by then is seen: tables, bars, what is told of a node."""
    cells = page.evaluate(
        """(() => {
            const isSeen = (node) => node.checkVisibility();
            const logits = view.scene.known.find(([id]) => id === DATA.sentence.logits)[1];
            return view.scene.moments.map(({ phase }, at) => {
              go(at);
              const shown = [...tables.values()].filter(({ figure }) => isSeen(figure));
              const ahead = shown.filter(({ id, isGrad }) => {
                const [, data, grad] = view.scene.known.find(([known]) => known === id);
                return !((isGrad ? grad : data) <= at); });
              return [phase, shown.length, ahead.length, shown.some(({ isGrad }) => isGrad),
                isSeen(document.getElementById("likeliest")) === (at >= logits)]; }); })()"""
    )
    assert sum(visible for _, visible, *_ in cells) > 100
    for phase, _, ahead, has_gradients, bars_are_right in cells:
        assert ahead == 0
        assert bars_are_right
        assert not (has_gradients and phase == "forward")


def test_the_sentence_stands_on_top_with_what_comes_next(page, model_player):
    tokens = page.evaluate(
        "[...document.querySelectorAll('[data-sentence] button')].map((b) => b.textContent)"
    )
    assert tokens == [WORDS[i] for i in IDS]
    page.press("End")
    logits = model_player[1].parents[0].data
    for place in (4, 1):
        page.click(f"#tokens button:nth-of-type({place + 1})")
        assert page.text("#asked") == f"next: {WORDS[TARGETS[place]]}"
        share = np.exp(logits[place]) / np.exp(logits[place]).sum()
        best = page.evaluate("document.querySelector('#likeliest li').textContent")
        assert best == f"{WORDS[share.argmax()]}{100 * share.max():.1f} %"


def test_a_cell_tells_its_arithmetic_and_frames_what_it_is_made_of(browser, model_player):
    page = open_at(browser, model_player, "open=blocks.0.attention")
    at = 'table[data-matrix="{}"] tbody tr:nth-child({}) td:nth-of-type({})'
    page.click(at.format("products", 3, 2))
    cell_text = page.text("#cell")
    assert cell_text.startswith("products[head 0, sat, cat] = ")
    terms = cell_text.split(" = ")[1].replace("−", "-").replace("(", "").replace(")", "")
    total = sum(float(a) * float(b) for a, b in (term.split("·") for term in terms.split(" + ")))
    assert total == pytest.approx(numbers(table(page, "products"))[2, 1], abs=2e-3)
    parts = (
        "[...document.querySelectorAll('td.part')].map((td) => td.closest('table').dataset.matrix)"
    )
    assert sorted(page.evaluate(parts)) == ["k_heads"] * 4 + ["q_heads"] * 4
    page.click(at.format("weights", 3, 2))
    assert re.match(
        r"weights\[head 0, sat, cat\] = e\^.* / \(e\^.* \+ e\^.* \+ e\^", page.text("#cell")
    )
    page.click(at.format("masked_scores", 2, 4))
    assert "hidden by the mask = −inf" in page.text("#cell")
    page.press("End")
    page.click(at.format("grad-q", 2, 1))
    assert page.text("#cell").startswith("∂L/∂q[cat, 0] = ")
    page.press("ArrowDown")
    assert page.text("#cell").startswith("∂L/∂q[sat, 0] = ")
    assert "q_heads" in page.text("#cell")
    assert browser.problems == []


def test_a_gradient_cell_adds_up_what_each_use_sent(page, model_player):
    by_name = nodes(model_player[1])
    page.press("End")
    page.evaluate("view.pinned = ''; drawMatrices()")
    page.click('table[data-matrix="grad-input"] tbody tr:nth-child(2) td:nth-of-type(3)')
    total, *terms_sent = page.evaluate(
        "[...document.querySelectorAll('#cell li')].map((l) => l.textContent)"
    )
    assert len(terms_sent) == 3  # the norm reads it twice, the sum around it once
    values = [
        float(line.strip().replace("−", "-").split(" = ")[-1].split("  ")[0]) for line in terms_sent
    ]
    assert sum(values) == pytest.approx(by_name["input"].grad[1, 2], rel=1e-2)
    assert total.endswith(", the sum of")


def test_a_number_opens_as_a_graph_of_single_numbers(browser, model_player):
    page = open_at(browser, model_player, "step=99")
    compared = page.evaluate(
        """matrices.flatMap((matrix, id) => !opensAsGraph(id) ? [] :
            [...matrix.data.keys()].filter((flat) => flat % 7 === 0).map((flat) => {
                const { data, steps } = graphOf(id, flat, matrix.grad?.[flat] ?? 1);
                const text = (x) => Number.isFinite(x) ? x : String(x);
                return [matrix.made.op, text(matrix.data[flat]), text(data.at(-1)),
                    steps[0].upstream, matrix.grad?.[flat] ?? 1]; }))"""
    )
    assert {"matmul", "softmax", "mul", "add", "mean", "relu"} <= {row[0] for row in compared}
    for _, true, computed, upstream, grad in compared:
        assert float(computed) == pytest.approx(float(true), rel=1e-12, abs=1e-15)
        assert upstream == grad
    assert page.evaluate(
        """(() => { const id = matrices.findIndex(({ name }) => name === "weights");
            const { data } = matrices[matrices[id].made.operands[0].matrix];
            const before = data[0];
            data[0] = 1000; // whose exponential is infinite
            const opens = canOpen(id, 0);
            data[0] = before;
            return [opens, canOpen(id, 0)]; })()"""
    ) == [False, True]
    open_at(browser, model_player, "open=blocks.0.attention")
    page.click('table[data-matrix="products"] tbody tr:nth-child(3) td:nth-of-type(2)')
    page.press("z")
    assert page.text("#crumbs").endswith(" › products[head 0, sat, cat]")
    titles = [
        box_texts(page, f"{name}_heads[{at}, {i}]")
        for name, at in (("q", "sat"), ("k", "cat"))
        for i in (0, 1)
    ]
    assert all(box["data"] != "–" for box in titles)
    assert box_texts(page, "… 1 more")["data"] != "–"
    assert page.evaluate("view.scene.moments.every(({ phase }) => phase !== 'backward')")
    products = numbers(table(page, "products"))
    page.press("End")
    written = float(box_texts(page, "products[sat, cat]")["data"].replace("−", "-"))
    assert written == pytest.approx(products[2, 1], rel=1e-3)
    hash = page.evaluate("location.hash")
    assert "zoom=" in hash
    page.press("Escape")
    assert "open=blocks.0.attention" in page.evaluate("location.hash")
    browser.open_url(f"{model_player[2].as_uri()}{hash}")  # as after a reload; there all is known
    assert page.text("#crumbs").endswith(" › products[head 0, sat, cat]")
    page.press("End")
    assert page.text("#phase") == "backward"
    grad_text = box_texts(page, "q_heads[sat, 0]")["grad"]
    grad, factor = (
        page.evaluate(f"matrices.find((m) => m.name === {name!r}).{what}[{at}]")
        for name, what, at in (("products", "grad", 2 * 5 + 1), ("k_heads", "data", 4))
    )
    assert float(grad_text.replace("−", "-")) == pytest.approx(grad * factor, rel=1e-3)
    assert browser.problems == []


def test_the_update_is_what_a_step_of_training_does(browser, model_player):
    _, loss, path = model_player
    page = opened(browser, path)
    assert not page.evaluate("document.getElementById('training').checkVisibility()")
    page.press("End")
    assert page.evaluate("document.getElementById('training').checkVisibility()")
    assert float(page.text("#before")) == pytest.approx(float(loss), rel=1e-3)
    rates, after = [], []
    for share in (0, 0.25, 1):
        page.evaluate(
            f"""(() => {{ const alpha = document.querySelector("input[data-alpha]");
                alpha.value = {share} * alpha.max; alpha.dispatchEvent(new Event("input")); }})()"""
        )
        rates.append(page.evaluate("rate"))
        after.append(
            float(page.evaluate("document.querySelector('[data-loss-after]').dataset.lossAfter"))
        )
    for rate, computed in zip(rates, after, strict=True):
        other, _ = trained()
        assert computed == pytest.approx(other.train_step(IDS, TARGETS, rate)[1], rel=1e-12)
    assert after[0] == float(loss)
    assert after[1] < after[0] < after[2]
    page.evaluate("window.setInterval = (act) => { window.tick = act; return 1; }")
    page.evaluate("alpha.value = alpha.max / 10; alpha.dispatchEvent(new Event('input'))")
    page.click("#loop")
    page.evaluate("for (let i = 0; i < 20; i += 1) tick()")
    other, _ = trained()
    at = page.evaluate("loopOf().rate")
    losses = [other.train_step(IDS, TARGETS, at)[1] for _ in range(10)]
    assert page.evaluate("loopOf().losses") == pytest.approx(losses, rel=1e-10)
    assert page.text("#losses").startswith("losses of 10 steps: … → ")
    page.evaluate("view.pinned = 'blocks.0.attention'; drawMatrices()")
    page.click('table[data-matrix="W_Q"] tbody tr:nth-child(1) td:nth-of-type(1)')
    assert "θ − α·g = " in page.text("#cell")


def test_the_step_is_in_the_address_and_survives_a_reload(browser, model_player):
    page = open_at(browser, model_player, "step=5")
    assert position(page) == 5
    page.press("ArrowRight")
    assert page.evaluate("location.hash") == "#step=6"
    page.send("Page.reload")
    while page._receive().get("method") != "Page.loadEventFired":
        pass
    assert position(page) == 6
    page.evaluate("location.hash = '#step=3'")
    page.until("view.position === 3")


def test_a_page_around_it_can_move_it_and_is_told(browser, model_player, tmp_path):
    around = tmp_path / "around.html"
    around.write_text(
        f"""<!doctype html><link rel=icon href=data:,><script>
        window.heard = []; addEventListener("message", (e) => heard.push(e.data.autolm.step));
        </script><iframe width=740 height=600 src="{model_player[2].as_uri()}#step=2"></iframe>"""
    )
    browser.open_url(around.as_uri())
    browser.evaluate("frames[0].postMessage({autolm: {step: 7}}, '*')")
    browser.until("heard.length > 0")
    assert browser.evaluate("heard") == [7]


@pytest.mark.parametrize(("width", "dark"), [(390, False), (740, True), (1280, False)])
def test_nothing_is_cropped_at_any_width(browser, model_player, width, dark):
    page = opened(browser, model_player[2], width=width, height=844, dark=dark)
    page.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = """(() => { const stage = document.getElementById("stage").getBoundingClientRect();
        const svg = document.querySelector("#stage svg").getBoundingClientRect();
        return svg.left >= stage.left && svg.right <= stage.right + 1; })()"""
    assert page.evaluate(inside)
    svg_width = page.evaluate("document.querySelector('svg').getBoundingClientRect().width")
    page.press("+")
    assert page.evaluate("document.querySelector('#stage svg').clientWidth") > svg_width
    page.press("0")
    assert page.evaluate(inside)


def test_it_speaks_korean_where_the_reader_does(browser, model_player, model_page):
    page = open_at(browser, model_player, "step=0&lang=ko")
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.text("#what") == "잎(입력과 파라미터)이 주어졌습니다."
    english = """[...standing.map(([node]) => node.textContent),
        ...labelled.map(([node, name]) => node.getAttribute(name))]"""
    korean = page.evaluate(english)
    texts = [text for op in (*PRIMITIVES, *COMPOSED) for text in (*(op.rule or ()), op.formula)]
    translated = page.evaluate(f"{json.dumps(texts)}.map(say)")
    speak("ko")  # the command says them as the page does
    assert translated == list(map(say_rule, texts))
    speak("en")
    for text, translation in zip(texts, translated, strict=True):
        assert not ENGLISH.search(translation), text
        assert translation == text or re.search("[가-힣]", translation)
    assert page.evaluate(
        """["ḡ added to the row of each id = 0.5 → E.grad: – → 0.5", "text = a where b < 0, else c",
            "from loss", "→ h: 61 contributions, −1 … 2", "loss = text + none"].map(say)"""
    ) == [
        "각 id의 행에 ḡ를 더한다 = 0.5 → E.grad: – → 0.5",
        "text = b < 0이면 a, 아니면 c",
        "← loss",  # a name stays what it is
        "→ h: 기여 61개, −1 … 2",
        "loss = text + none",
    ]
    page.press("End")
    assert (page.text("#phase"), page.text("#what")) == ("갱신", "잎이 한 걸음 움직입니다.")
    page.press("ArrowLeft")
    assert page.text("#phase") == "역전파"
    page.click("#language")
    assert page.text("#phase") == "backward"
    assert "lang=en" in page.evaluate("location.hash")
    same = {a for a, b in zip(page.evaluate(english), korean, strict=True) if a == b}
    assert same == {"α"}
    page.open_url(f"{model_page.as_uri()}#open=blocks.0.attention&lang=ko")
    signs = "[...document.querySelectorAll('g.more text')].map((text) => text.textContent)"
    assert {sign[:2] for sign in page.evaluate(signs)} == {"← ", "→ "}


def test_a_picture_speaks_korean_and_names_in_it_stay(
    browser, model_player, neuron_page, model_page
):
    script = """[...document.querySelectorAll("#stage g text, #stage g title")].flatMap((node) =>
        node.textContent.split("\\n")).map((line) => line.replaceAll("\u00a0", " "))"""
    for path in (neuron_page, model_page, model_player[2]):
        browser.open_url(f"{path.as_uri()}#lang=en")
        english = set(browser.evaluate(script))
        assert {"data", "grad"} <= english
        browser.open_url(f"{path.as_uri()}#lang=ko")
        korean = set(browser.evaluate(script))
        assert {"값", "기울기"} <= korean
        untranslated = [line for line in english & korean if IN_ENGLISH.search(line)]
        assert untranslated == []
        assert browser.problems == []
    names = {"x1", "w1", "n", "o"}
    browser.open_url(f"{neuron_page.as_uri()}#lang=ko")
    assert names <= set(browser.evaluate(script))


def test_long_tokens_stand_beside_one_another_over_their_columns(browser, tmp_path):
    need_renderer()
    words = ("the", "internationalization", "sat", "고양이들은", "mat", "␣", "x")
    _, loss = trained()
    page = opened(browser, player(loss, tmp_path / "long.html", tokens=Tokens((), {}, words)))
    for width in (1280, 390):
        page.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        page.evaluate("view.pinned = 'blocks.0.attention'; go(99); drawMatrices(true)")
        overlap = """[...document.querySelectorAll("table")].flatMap((table) => {
            const labels = [...table.querySelectorAll("thead th span")];
            const boxes = labels.map((label) => label.getBoundingClientRect());
            return boxes.slice(1).filter(({ left }, i) => left < boxes[i].right - 0.5); }).length"""
        assert page.evaluate(overlap) == 0


def test_adams_step_is_told_with_its_moments(browser, tmp_path):
    need_renderer()
    model, _ = trained()
    optimizer = Adam(model.named_parameters(), 0.01)
    for _ in range(3):
        loss = model.compute_loss(IDS, TARGETS)
        model.zero_grad()
        loss.backward()
        optimizer.step()
    loss = model.compute_loss(IDS, TARGETS)
    page = opened(browser, player(loss, tmp_path / "adam.html", optimizer=optimizer))
    page.press("End")
    assert page.text("#rule") == "θ ← θ − α·(m̂ / (√v̂ + ε))"
    rates, losses = page.evaluate("[training.rates, training.losses]")
    model.zero_grad()
    loss.backward()
    optimizer.learning_rate = rates[10]
    optimizer.step()
    assert float(model.compute_loss(IDS, TARGETS)) == pytest.approx(losses[10], rel=1e-12)
    page.evaluate("view.pinned = ''; drawMatrices()")
    page.click('table[data-matrix="W_out"] tbody tr:nth-child(1) td:nth-of-type(1)')
    assert re.search(r"d = m̂ / \(√v̂ \+ ε\) = .*\(m̂ = .*, v̂ = .*\)", page.text("#cell"))


def test_nothing_of_the_makers_machine_is_in_the_page(model_player):
    text = model_player[2].read_text(encoding="utf-8")
    assert "made at autolm/nn/layers.py:" in text
    root = str(Path(autolm.__file__).parents[1])
    assert not [folder for folder in (root, str(Path.home()), sys.prefix) if folder in text]
