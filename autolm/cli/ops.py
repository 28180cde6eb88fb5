"""`autolm ops`: the table of operations, from their records."""


def ops() -> None:
    """List every operation with its formula, its gradient rule and its conventions."""
    from rich.console import Console
    from rich.table import Table

    from autolm.ops import PRIMITIVES

    table = Table("operation", "", "formula", "gradient", "at kinks", show_lines=True)
    for operation in PRIMITIVES:
        rule = "\n".join(operation.rule)
        table.add_row(operation.name, operation.symbol, operation.formula, rule, operation.kinks)
    Console().print(table)
