"""`autolm ops`: a table of all operations."""


def ops() -> None:
    """Print a table of all operations."""
    from rich.table import Table

    from autolm import ops
    from autolm.cli.console import SafeConsole
    from autolm.engine.value import OPERATIONS
    from autolm.outside.language import say, say_rule

    headings = map(say, ("operation", "", "formula", "gradient", "at kinks"))
    table = Table(*headings, show_lines=True)
    for operation in ops.OPERATIONS:
        rule = "\n".join(map(say_rule, operation.rule))
        formula, kinks = say_rule(operation.formula), say_rule(operation.kinks)
        table.add_row(operation.name, operation.symbol, formula, rule, kinks)
    tensor_operations = {operation.name for operation in ops.OPERATIONS}
    for name, record in OPERATIONS.items():
        if name not in tensor_operations:
            rule = "\n".join(record.rule)
            table.add_row(name, record.symbol, record.formula, rule, say("of Values only"))
    SafeConsole().print(table)
