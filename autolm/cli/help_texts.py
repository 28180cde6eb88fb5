"""The help of each command, except its options: description, examples and required extras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autolm.outside.message import message


@dataclass(frozen=True)
class HelpText:
    """The help of one command.

    Attributes
    ----------
    summary
        One sentence in the imperative; the list of commands shows it too.
    examples
        Command lines, each with what it does.
    details
        Further sentences, shown below the summary.
    extras
        Extras of the package that parts of the command need, each with what it is for.
    """

    summary: str
    examples: Mapping[str, str]
    details: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)


PROGRAM = message("Step through backpropagation, draw computation graphs and check gradients.")

FOR_TORCH_PROGRAMS = message("for programs that use PyTorch")

HELP: dict[str, HelpText] = {
    "step": HelpText(
        message("Step through the backward pass of a program or a trained model."),
        details=message("At the prompt, help lists the commands of the debugger."),
        examples={
            "autolm step neuron.py": message("Step through the first backward pass."),
            "autolm step train.py --pass 37 -- --lr 0.1": message(
                "Stop at pass 37 of a training loop; pass --lr 0.1 to the program."
            ),
            "autolm step runs/first --html player.html": message(
                "Write a page that steps through the pass in a browser."
            ),
        },
        extras={"torch": FOR_TORCH_PROGRAMS},
    ),
    "draw": HelpText(
        message("Draw the computation graph of a program or a trained model."),
        examples={
            "autolm draw neuron.py --grad -o neuron.svg": message(
                "Draw the graph with the gradient on each edge."
            ),
            'autolm draw runs/first --attention --text "the cat" -o attention.html': message(
                "Draw the attention weights of a trained model."
            ),
        },
        extras={"torch": FOR_TORCH_PROGRAMS},
    ),
    "check": HelpText(
        message("Check the gradients of operations, and diagnose the wrong ones."),
        details=message(
            "The exit code is 0 if all are correct, 1 if one is wrong, and 3 if one is undecided."
        ),
        examples={
            "autolm check my_ops.py": message("Check every operation that a file defines."),
            "autolm check softmax mul --profile nightly": message(
                "Search thoroughly for errors in two operations of autolm."
            ),
        },
        extras={
            "torch": message("for autograd.Functions of PyTorch"),
            "jax": message("for custom_vjp rules of JAX"),
        },
    ),
    "train": HelpText(
        message("Train TinyLM on a text; write model, loss curve and samples to a run folder."),
        examples={
            "autolm train": message("Train on the toy language with the default settings."),
            "autolm train names.txt --kind lines -o runs/names": message(
                "Train on a file with one document per line."
            ),
            "autolm train --resume runs/names --steps 3600": message(
                "Resume a run, and extend it to 3600 steps."
            ),
        },
        extras={"fast": message("for --native"), "torch": message("for --engine torch")},
    ),
    "sample": HelpText(
        message("Generate text from a trained model."),
        examples={
            'autolm sample runs/first --prompt "the cat"': message("Continue a text."),
            "autolm sample runs/first --temperature 0.7 --top-k 5 --seed 1": message(
                "Sample from the 5 most probable tokens, reproducibly."
            ),
        },
        extras={"fast": message("for --native")},
    ),
    "export": HelpText(
        message("Export a run as a model that Hugging Face Transformers loads."),
        examples={
            "autolm export runs/first exported": message("Write the model and its tokenizer."),
            'autolm sample exported --prompt "the cat"': message(
                "Generate text from the exported model."
            ),
        },
        extras={"huggingface": message("to load the exported model in Transformers")},
    ),
    "info": HelpText(
        message("Count the parameters, operations and memory of a model, next to GPT-3's."),
        examples={
            "autolm info": message("Show the default TinyLM."),
            "autolm info runs/first --workers 4": message(
                "Show a trained model, and the memory and traffic of 4 workers."
            ),
        },
    ),
    "ops": HelpText(
        message("List all operations with formula, gradient rule and conventions."),
        examples={
            "autolm ops": message("List all operations."),
            "autolm ops --language ko": message("List them in Korean."),
        },
    ),
    "vscode": HelpText(
        message("Install the VS Code extension that steps through backpropagation."),
        examples={
            "autolm vscode": message("Install the extension in every editor found."),
            "autolm vscode --launch-json": message(
                "Write a launch configuration for the current folder."
            ),
        },
    ),
    "dap": HelpText(
        message("Start a debug adapter for an editor (Debug Adapter Protocol)."),
        examples={
            "autolm dap": message("Communicate on standard input and output."),
            "autolm dap --port 5678": message("Wait for an editor at port 5678."),
        },
        extras={"torch": FOR_TORCH_PROGRAMS},
    ),
}
