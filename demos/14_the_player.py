"""Lesson 14: a step of training, played in a browser.

The player is one HTML file, which needs nothing else: send it to whoever asks how backpropagation
works. Arrow keys step, space plays, a click on a node explains it, b sets a breakpoint. A graph
that is too large to be read is stepped module by module, and a click opens a module. Or, of any
program or trained model:

    autolm step demos/11_stepping_a_neuron.py --html neuron.html
"""

import json

import numpy as np

from autolm import TinyLM, Value, player


def story(path):
    """Read out of a player what it plays."""
    data = path.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0]
    return json.loads(data)["scenes"]


x1, x2 = Value(2.0, name="x1"), Value(0.0, name="x2")
w1, w2 = Value(-3.0, name="w1"), Value(1.0, name="w2")
b = Value(6.8813735870195432, name="b")
n = x1 * w1 + x2 * w2 + b
n.name = "n"
o = n.tanh()
o.name = "o"

page = player(o, "neuron.html")
(scene,) = story(page)
print(f"{page} plays these {len(scene['moments'])} moments:\n")
for number, moment in enumerate(scene["moments"]):
    print(f"{number:3}  {moment['phase']:8}  {moment['title']}")
    for line in moment["lines"] if moment["phase"] == "backward" else ():
        print(f"               {line}")
print(f"\nNothing was changed by it: is there a gradient in w1? {w1.has_grad}.")
print(f"A link to a moment names its number: {page}#step=8\n")

model = TinyLM(vocab_size=9, d_model=8, num_heads=2, d_ff=16, num_layers=2, seed=3)
token_ids = np.array([1, 2, 3, 4, 5, 6])
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
page = player(loss.to_values().item(), "tinylm.html")
whole, *parts = story(page)
print(f"{page} plays a whole TinyLM, {whole['notes'][0]}, in {len(whole['moments'])} moments.")
print("These parts open:")
for part in parts:
    print(f"  {part['title']:28} {len(part['boxes']):2} boxes")
