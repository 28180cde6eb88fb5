"""One backward pass with a place in it, moved both ways: the machine that every face shares.

The walk stands *before* a step, as pdb stands before a line: `preview` computes what that step will
do, and nothing is done until `step` or `send`. Each contribution that is sent notes the sum that it
was added to. Going back puts those sums back, bit for bit; so a step costs the same in either
direction, however far the walk has come. What stays alive is every gradient and, where a node has
several uses, the sums on the way to it. Of a large model that is much: walked in segments, only the
last one or two keep theirs, and going back further does a segment again, from the sums that it
began with, bit for bit.

It never prints. Prompt, editor, page and notebook ask it, and show.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple

from autolm.engine import backprop as engine
from autolm.engine.backprop import Contribution, Step, latest_root
from autolm.engine.graph import Node, describe
from autolm.ops.arguments import read_bool, read_int
from autolm.tensor.arguments import (
    read_function,
    read_items,
    read_kind,
    read_node,
    read_text,
)
from autolm.tensor.quiet import quiet
from autolm.walking.breakpoints import (
    Breakpoint,
    Condition,
    Places,
    at_change_of,
    at_line,
    at_name,
    at_nonfinite,
    at_operation,
    at_scope,
    both,
    everywhere,
)
from autolm.walking.explanation import Explanation, Use, explanation, use
from autolm.walking.reading import reading
from autolm.walking.what_if import Edit, edit, seed
from autolm.walking.wording import label, show

Interrupted = Callable[[], Any]  # asked between two steps whether somebody wants to stop
INTERRUPTED = "a function that says whether to stop"
A_BREAKPOINT = "a Breakpoint, as break_at makes it"


class Stopped(NamedTuple):
    """Why a walk has come to rest, before the step that is next.

    Attributes
    ----------
    reason
        "breakpoint"; "until", where that was true or the scope was left; "interrupted"; "end" or
        "start" of the pass.
    breakpoints
        Those that stopped it. One whose condition could not be asked has its `error`.
    """

    reason: str
    breakpoints: tuple[Breakpoint, ...] = ()


class Start(NamedTuple):
    """What it takes to do a segment again: its first sums, of the nodes that it reads or changes.

    `noted` counts the notes up to there.
    """

    noted: int
    sums: dict[Node, Any]


class Walk:
    """A backward pass that can be walked forwards and back, and stopped anywhere.

    While it is open, the `.grad` of every node shows the sum of what has arrived so far. Use it in
    a `with` block: left at the end of the pass, the gradients are exactly those of `backward()`;
    left before, every gradient, and every number changed by `set`, is what it was.

    Parameters
    ----------
    root, grad, retain_grads
        As for `backward()`.
    segment
        Keep only what the last one or two segments of so many steps did, and do those before again
        where one goes back to them; √(number of steps) needs least memory. The `.grad` of a result
        of before shows nothing then: `show_again`. By default all is kept.

    Attributes
    ----------
    root, operations, leaves
        Where the pass begins; the nodes that it visits, one in each step; and where it ends.
    position, edge
        How many steps are done, and how many contributions of the next are sent already.
    gradients
        The sums so far, by node.
    breakpoints
        Where `run` and `run_back` stop, by id; `break_at` adds to them.
    edits
        What `set` has changed, in turn.
    replaced
        Results that hold what they were set to, and not what their operation makes.

    Examples
    --------
    >>> from autolm import Value
    >>> x = Value(3.0, name="x")
    >>> y = x * x + x
    >>> with Walk(y) as walk:
    ...     print(walk.preview(), x.has_grad)
    ...     print(walk.step(), x.grad)
    ...     print(walk.send(), x.grad)
    ...     print(walk.back(), (walk.position, walk.edge), x.grad)
    1  +  y = mul + x   mul: 1 × 1 = 1, grad – → 1   x: 1 × 1 = 1, grad – → 1 False
    1  +  y = mul + x   mul: 1 × 1 = 1, grad – → 1   x: 1 × 1 = 1, grad – → 1 1.0
    x: 3, grad 1 → 4 4.0
    True (1, 0) 1.0
    >>> x.has_grad
    False
    """

    def __init__(
        self,
        root: Node,
        grad: Any = None,
        retain_grads: bool | None = None,
        *,
        segment: int | None = None,
    ) -> None:
        root = read_node("Walk", "root", root)
        grad = seed("Walk", root, grad)
        self.segment = None if segment is None else read_int("Walk", "segment", segment, low=1)
        if retain_grads is not None:
            retain_grads = read_bool("Walk", "retain_grads", retain_grads)
        begun = engine.Backprop(root, grad, retain_grads=True)  # the way back needs every gradient
        self.root, self.operations, self.gradients = root, begun.operations, begun.gradients
        self.leaves = begun.leaves
        self.seed = self.gradients[root]
        self.breakpoints: dict[int, Breakpoint] = {}
        self.edits: list[Edit] = []
        self.replaced: set[Node] = set()
        self._retains = root.retains_grads if retain_grads is None else retain_grads
        # How many steps are done, and with how many operands of the next; and how many of the notes
        # are of these: for each operand, its sum before. One assignment moves the whole place.
        self._place, self._notes = (0, 0, 0), list[Any]()
        # Where segments began; and the first step whose gradient and notes are at hand.
        self._starts, self._kept = dict[int, Start](), 0
        self._computed: Step | None = None  # the step that is next, or was when it was computed
        self._users: dict[Node, list[tuple[int, int]]] | None = None
        self._earlier = {node: node.gradient for node in self._nodes() if node.has_grad}
        self._is_open = True
        root.begin_walk()
        for node in self.operations:
            node.gradient = None
        self._show(root)

    def __repr__(self) -> str:
        done = f"{self.position} of {len(self.operations)} steps done"
        sent = f" and {self.edge} of the next's contributions sent" if self.edge else ""
        left = "" if self._is_open or self.finished else ", and left"
        return f"<backward of {label(self.root)} = {show(self.root.data)}: {done}{sent}{left}>"

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Where it is

    @property
    def position(self) -> int:
        """How many steps are done."""
        return self._place[0]

    @property
    def edge(self) -> int:
        """How many contributions of the next step are sent already."""
        position, operands, _ = self._place
        if not operands:
            return 0
        return sum(parent.requires_grad for parent in self.operations[position].parents[:operands])

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.position == len(self.operations)

    @property
    def ahead(self) -> Node | None:
        """The node whose step is next; None at the end."""
        return None if self.finished else self.operations[self.position]

    def preview(self) -> Step | None:
        """Return the step that is next, its arithmetic computed and nothing done; None at the end.

        What of it is sent already is in it, as it was.
        """
        node = self.ahead
        if node is None:
            return None
        if self._computed is None or self._computed.index != self.position:
            self._computed = self._step_of(self.position, self.gradients)
        return self._computed

    def _step_of(self, index: int, arrived: Mapping[Node, Any]) -> Step:
        node = self.operations[index]
        upstream, slopes = arrived[node], (None,) * len(node.parents)
        sums, contributions = dict[Node, Any](), []
        try:
            with quiet():
                values = node.contributions(upstream)
                if type(upstream) is float:
                    slopes = node.contributions(1.0)
                for parent, slope, value in zip(node.parents, slopes, values, strict=True):
                    before = sums[parent] if parent in sums else arrived.get(parent)
                    if parent.requires_grad:
                        sums[parent] = value if before is None else before + value
                    after = sums.get(parent)
                    contributions.append(Contribution(parent, slope, value, before, after))
        except Exception as error:
            error.add_note(f"in the backward rule of {describe(node, self.root)}")
            raise
        return Step(index, node, upstream, tuple(contributions), node.op and node.op.rule)

    def earlier(self, leaf: Node) -> Any:
        """Return the gradient that a leaf had before this pass, to which the pass adds."""
        leaf = read_node("earlier", "leaf", leaf)
        return None if leaf.parents else self._earlier.get(leaf)

    def consumers(self, node: Node) -> list[tuple[int, int]]:
        """List the steps that send to a node, done or not: each index, and as which operand."""
        node = read_node("consumers", "node", node)
        if self._users is None:
            self._users = {}
            for index, each in enumerate(self.operations):
                for operand, parent in enumerate(each.parents):
                    self._users.setdefault(parent, []).append((index, operand))
        return self._users.get(node, []) if node.requires_grad else []

    def uses(self, node: Node) -> tuple[Use, ...]:
        """List who has sent what to a node so far; in this order it adds up exactly."""
        sent = [each for each in self.consumers(node) if each < self._place[:2]]
        uses, arrived = list[Use](), self.gradients
        for index, operand in sent:
            each = self.operations[index]
            if each not in arrived:
                arrived = self.gradients if index >= self._kept else self._again_around(index)
            uses.append(use(each, operand, arrived[each]))
        return tuple(uses)

    def arrived(self, node: Node) -> Any:
        """Return what has arrived at a node so far, also where that was let go; None before."""
        node = read_node("arrived", "node", node)
        first = self.consumers(node)[:1] if self._kept else []
        if node in self.gradients or not any(each < self._place[:2] for each in first):
            return self.gradients.get(node)
        index = next(i for i in range(self._kept) if self.operations[i] is node)
        return self._again_around(index)[node]

    def show_again(self, node: Node) -> None:
        """Let the `.grad` of a node show what has arrived, also where a segment let that go."""
        node = read_node("show_again", "node", node)
        if self._is_open and node.parents and not node.has_grad:
            arrived = self.arrived(node)
            node.gradient = None if arrived is None else node.as_gradient(arrived)

    def explain(self, node: Node, paths: int = 0) -> Explanation:
        """Explain the gradient that has arrived so far, with its heaviest `paths`."""
        paths = read_int("explain", "paths", paths, low=0)
        told = explanation(self, node, self.uses(node), paths=paths)
        return replace(told, gradient=self.arrived(node))

    # One step, either way

    def step(self) -> Step | None:
        """Do the step that is next, or the rest of it, and return it; None at the end."""
        self._require_open("step")
        step = self.preview()
        if step is not None:
            self._send(step, len(step.contributions))
        return step

    def send(self) -> Contribution | None:
        """Send one contribution of the step that is next, and return it; the last one ends it."""
        self._require_open("send")
        step, edge = self.preview(), self.edge
        if step is None:
            return None
        self._send(step, self._operands(step.node, edge + 1))
        takes = [each for each in step.contributions if each.after is not None]
        return takes[edge] if takes else None

    def back(self) -> bool:
        """Undo what was sent of the step that is next, or else the step before.

        Returns whether there was anything to undo.
        """
        self._require_open("back")
        position, operands, noted = self._place
        if not operands:
            if not position:
                return False
            if position == self._kept:
                self._recall()
            position -= 1
            operands = len(self.operations[position].parents)
        parents = self.operations[position].parents[:operands]
        sums = self._notes[noted - operands : noted]
        # Of a parent with several uses, the sum before the first counts.
        before = dict(zip(parents[::-1], sums[::-1], strict=True))
        self._move((position, 0, noted - operands), before)
        del self._notes[noted - operands :]
        return True

    def unsend(self) -> bool:
        """Undo one contribution; returns whether there was one."""
        edge = self.edge
        if not self.back():
            return False
        node = self.operations[self.position]
        edge = (edge or sum(parent.requires_grad for parent in node.parents)) - 1
        if edge > 0:
            self._send_first(edge)
        return True

    def _send_first(self, edge: int) -> None:
        step = self.preview()
        if step is not None:
            self._send(step, self._operands(step.node, edge))

    def _operands(self, node: Node, edge: int) -> int:
        """Return how many operands of a node are done when `edge` contributions are sent."""
        takes = [i for i, parent in enumerate(node.parents) if parent.requires_grad]
        return takes[edge] if edge < len(takes) else len(node.parents)

    def _send(self, step: Step, end: int) -> None:
        """Send what comes before operand `end`."""
        self._begin_segment()
        position, operands, noted = self._place
        sent = step.contributions[operands:end]
        self._notes[noted:] = [each.before for each in sent]
        is_whole = end == len(step.contributions)
        place = (position + 1, 0) if is_whole else (position, end)
        after = {each.parent: each.after for each in sent if each.after is not None}
        self._move((*place, noted + len(sent)), after)

    def _move(self, place: tuple[int, int, int], sums: Mapping[Node, Any]) -> None:
        """Set some sums and the place, or, if Ctrl-C comes in between, neither."""
        before = {node: self.gradients.get(node) for node in sums}
        try:
            self._put(sums)
            self._place = place
        except BaseException:
            self._put(before)
            raise

    def _put(self, sums: Mapping[Node, Any]) -> None:
        for node, sum in sums.items():
            if sum is None:
                self.gradients.pop(node, None)
            else:
                self.gradients[node] = sum
            self._show(node)

    def _show(self, node: Node) -> None:
        """Let a node's `.grad` be what `backward()` would make of the sum so far."""
        total = self.gradients.get(node)
        earlier = None if node.parents else self._earlier.get(node)
        if total is None:
            node.gradient = earlier
        elif earlier is None:
            node.gradient = node.as_gradient(total)
        else:
            with quiet():
                node.gradient = node.as_gradient(earlier + total)

    # In segments

    def _begin_segment(self) -> None:
        """Where a segment begins, note what it takes to do it again; let the one before last go.

        Done once more, after Ctrl-C, it does the same.
        """
        position, operands, noted = self._place
        if self.segment is None or position % self.segment or operands:
            return
        first = max(0, position - self.segment)
        around = self.operations[first : position + self.segment]
        concerned = {each for node in around for each in (node, *node.parents)}
        concerned.difference_update(self.operations[first:position])
        sums = {each: self.gradients[each] for each in concerned if each in self.gradients}
        self._starts[position] = Start(noted, sums)
        gone, self._kept = self._kept, max(first, self._kept)
        begin, end = (self._starts[each].noted for each in (gone, self._kept))
        self._notes[begin:end] = [None] * (end - begin)
        self._put({n: None for n in self.operations[gone : self._kept] if n is not self.root})

    def _recall(self) -> None:
        """Have the gradients and the notes of the segment before those that are at hand."""
        assert self.segment is not None
        start = self._kept - self.segment
        found, notes = self._again(start)
        noted = self._starts[start].noted
        self._notes[noted : noted + len(notes)] = notes
        self._put(found)
        self._kept = start

    def _again_around(self, index: int) -> dict[Node, Any]:
        """Return the gradients in the segment of a step, which is done again."""
        return self._again(index - index % (self.segment or 1))[0]

    def _again(self, start: int) -> tuple[dict[Node, Any], list[Any]]:
        """Do a segment again: the gradient of each step, and the sum before each contribution.

        Raises
        ------
        RuntimeError
            When it comes to other sums than the first time: then a rule is named.
        """
        sums, found, notes = dict(self._starts[start].sums), dict[Node, Any](), list[Any]()
        end = start + (self.segment or 0)
        for index in range(start, end):
            step = self._step_of(index, sums)
            found[step.node] = step.upstream
            notes += [sent.before for sent in step.contributions]
            sums |= {sent.parent: sent.after for sent in step.contributions}
        then = self._starts[end].sums
        if not all(reading(then[node]).equals(sums[node]) for node in then.keys() & sums.keys()):
            raise RuntimeError(
                f"{self._unsteady(start, end, found)} otherwise when asked again, so a walk in "
                "segments does not go back there; without segment= it does"
            )
        return found, notes

    def _unsteady(self, start: int, end: int, found: Mapping[Node, Any]) -> str:
        """Say whose rule answers the same question in two ways."""
        for node, upstream in found.items():
            with quiet():
                once, again = node.contributions(upstream), node.contributions(upstream)
            pairs = zip(once, again, strict=True)
            if any(a is not None and not reading(a).equals(b) for a, b in pairs):
                return f"the backward rule of {describe(node, self.root)} answers"
        return f"the backward rules of steps {start + 1} … {end} answer"

    # Many steps

    def goto(self, k: int, edge: int = 0, interrupted: Interrupted | None = None) -> None:
        """Go to where k steps are done, and `edge` contributions of the next, whichever way it is.

        Raises
        ------
        ValueError
            When there is no such place.
        """
        self._require_open("goto")
        k, edge = read_int("goto", "k", k), read_int("goto", "edge", edge)
        _read_function("goto", "interrupted", interrupted, INTERRUPTED)
        if not 0 <= k <= len(self.operations):
            raise ValueError(f"goto: k is {k}, and the steps are 0 … {len(self.operations)}")
        parents = self.operations[k].parents if k < len(self.operations) else ()
        most = max(1, sum(parent.requires_grad for parent in parents))
        if not 0 <= edge < most:
            raise ValueError(f"goto: edge is {edge}, and at step {k} the edges are 0 … {most - 1}")
        while self.position < k:
            self.step()
            if interrupted is not None and interrupted():
                return
        while self.position > k or self.edge > edge:
            self.back()
            if interrupted is not None and interrupted():
                return
        if self.edge < edge:
            self._send_first(edge)

    def run(
        self,
        stops: Iterable[Breakpoint] | None = None,
        until: Condition | None = None,
        interrupted: Interrupted | None = None,
    ) -> Stopped:
        """Go on until something stops it before a step, or to the end of the pass.

        Parameters
        ----------
        stops
            The breakpoints; the walk's own if left out.
        until
            A question about the step that is next; where the answer is true, it stops.
        interrupted
            Asked after each step whether to stop there.
        """
        return self._run("run", stops, until, interrupted)

    def run_back(
        self,
        stops: Iterable[Breakpoint] | None = None,
        until: Condition | None = None,
        interrupted: Interrupted | None = None,
    ) -> Stopped:
        """Go back in the same way, to the start of the pass at the furthest."""
        return self._run("run_back", stops, until, interrupted)

    def out(
        self,
        scope: str,
        stops: Iterable[Breakpoint] | None = None,
        interrupted: Interrupted | None = None,
    ) -> Stopped:
        """Go on to the end of a scope, whose next step is outside; of "" to the end of the pass."""
        scope = read_text("out", "scope", scope)
        return self._run("out", stops, lambda step: not within(step.node.scope, scope), interrupted)

    def back_out(
        self,
        scope: str,
        stops: Iterable[Breakpoint] | None = None,
        interrupted: Interrupted | None = None,
    ) -> Stopped:
        """Go back to the start of a scope, whose step before is outside."""
        scope = read_text("back_out", "scope", scope)

        def is_before(step: Step) -> bool:
            return step.index > 0 and not within(self.operations[step.index - 1].scope, scope)

        return self._run("back_out", stops, is_before, interrupted)

    def _run(
        self,
        name: str,
        stops: Iterable[Breakpoint] | None,
        until: Condition | None,
        interrupted: Interrupted | None,
    ) -> Stopped:
        self._require_open(name)
        _read_function(name, "until", until, "a function of a step that answers True or False")
        _read_function(name, "interrupted", interrupted, INTERRUPTED)
        stops = self._read_stops(name, stops)
        is_forwards = name in ("run", "out")
        while self.step() if is_forwards else self.back():
            found = self._arrived(stops)
            if found:
                return Stopped("breakpoint", found)
            step = None if until is None else self.preview()
            if step is not None and until is not None and until(step):
                return Stopped("until")
            if interrupted is not None and interrupted():
                return Stopped("interrupted")
        return Stopped("end" if is_forwards else "start")

    def arrive(self, stops: Iterable[Breakpoint] | None = None) -> tuple[Breakpoint, ...]:
        """Return the breakpoints that stop before the step that is next: where one begins."""
        self._require_open("arrive")
        return self._arrived(self._read_stops("arrive", stops))

    def _arrived(self, stops: Iterable[Breakpoint]) -> tuple[Breakpoint, ...]:
        here = [each for each in stops if each.is_enabled and self.position in each.places.steps]
        step = self.preview() if here else None
        if step is None:
            return ()
        found = tuple([each for each in here if each.stops(step)])  # each is asked
        for each in found:
            if each.is_temporary:
                each.is_enabled = False
                self.breakpoints.pop(each.id, None)
        return found

    def _read_stops(self, name: str, stops: Iterable[Breakpoint] | None) -> list[Breakpoint]:
        if stops is None:
            return list(self.breakpoints.values())
        found = read_items(name, "stops", stops, "a list of breakpoints")
        return [read_kind(name, "stops", each, Breakpoint, A_BREAKPOINT) for each in found]

    def break_at(
        self,
        *,
        line: str | None = None,
        op: str | None = None,
        name: str | None = None,
        scope: str | None = None,
        when: Condition | None = None,
        nonfinite: bool = False,
        watch: Node | None = None,
    ) -> Breakpoint:
        """Let `run` and `run_back` stop before the steps of which all of these hold.

        Parameters
        ----------
        line
            The line of the program that made the node, as FILE:LINE.
        op
            The operation, by name or symbol: "mul" or "×".
        name, scope
            The node's name and scope; * and ? stand for anything, as in names of files.
        when
            A question about the step: ``lambda step: abs(step.upstream) > 10``.
        nonfinite
            Something that it sends is inf or nan.
        watch
            It changes the gradient of this node.
        """
        given = (("line", line), ("op", op), ("name", name), ("scope", scope))
        texts = {
            key: None if text is None else read_text("break_at", key, text) for key, text in given
        }
        _read_function("break_at", "when", when, "a function of a step that answers True or False")
        read_bool("break_at", "nonfinite", nonfinite)
        operations, asked = self.operations, list[Places]()
        if texts["line"]:
            path, _, number = texts["line"].rpartition(":")
            if not path or not number.isdigit():
                raise ValueError(f"break_at: line is {line!r}, and not FILE:LINE")
            asked.append(at_line(operations, path, int(number)))
        for key, place in (("op", at_operation), ("name", at_name), ("scope", at_scope)):
            text = texts[key]
            if text:
                asked.append(place(operations, text))
        if nonfinite:
            asked.append(at_nonfinite(operations))
        if watch is not None:
            asked.append(at_change_of(operations, read_node("break_at", "watch", watch)))
        if not asked and when is None:
            raise ValueError(
                "break_at: say where: line=, op=, name=, scope=, when=, nonfinite= or watch="
            )
        places = both(asked) if asked else everywhere(operations)
        return self.add(Breakpoint(places, when))

    def add(self, breakpoint: Breakpoint) -> Breakpoint:
        """Add a breakpoint under the next id."""
        read_kind("add", "breakpoint", breakpoint, Breakpoint, A_BREAKPOINT)
        breakpoint.id = max(self.breakpoints, default=0) + 1
        self.breakpoints[breakpoint.id] = breakpoint
        return breakpoint

    # What if, and the end

    def set(self, node: Node, data: Any) -> Edit:
        """Change the data of a node and all that depends on it, and stay at the same place.

        The latest change counts: a result that was set before, and depends on the node, is computed
        again. Left unfinished, the walk undoes every change.
        """
        self._require_open("set")
        position, edge, seed = self.position, self.edge, self.gradients[self.root]
        self.goto(0)
        try:
            change = edit(self.root, node, data, grad=seed, set_before=self.replaced)
            self.edits.append(change)
            self.replaced -= change.data.keys()
            self.replaced |= {node} if node.parents else set()
        finally:
            self._computed = None
            self.goto(position, edge)
        return change

    def finish(self) -> None:
        """Do what is left of the pass and end the walk, with the gradients of `backward()`."""
        self._require_open("finish")
        self.goto(len(self.operations))
        self.close()

    def abandon(self) -> None:
        """End the walk and put every gradient, and every number that was set, back."""
        if not self._is_open:
            return
        self._is_open = False
        while self.edits:
            self.edits.pop().undo()
        self.replaced.clear()
        for node in self._nodes():
            node.gradient = self._earlier.get(node)
        self.root.end_walk(self.seed, finished=False)

    def close(self) -> None:
        """End the walk: keep the gradients of a whole pass, and abandon one that is not."""
        if not self._is_open:
            return
        if not self.finished:
            self.abandon()
            return
        while self._retains and self._kept:
            self._recall()
        self._is_open = False
        for node in () if self._retains else self.operations:
            node.gradient = None
        self.root.end_walk(self.seed, finished=True, edits=self.edits)
        latest_root.set(weakref.ref(self.root))

    def _require_open(self, what: str) -> None:
        if not self._is_open:
            raise RuntimeError(f"{what}: this walk is closed; open another with Walk(root)")

    def _nodes(self) -> Iterator[Node]:
        """Yield the nodes whose gradients the pass touches."""
        return chain(self.operations, self.leaves)


Backprop = Walk  # as it is called at the top, where one does not know of the engine's


def within(scope: str, outer: str) -> bool:
    """Whether a scope is this one, or inside it."""
    return not outer or scope == outer or scope.startswith(f"{outer}.")


def _read_function(name: str, argument: str, function: Any, words: str) -> None:
    if function is not None:
        read_function(name, argument, function, words)
