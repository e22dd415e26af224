"""How `--help` looks: two columns, the same in a terminal and in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich is loaded only by those who ask for help
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


class TwoColumns:
    """What cyclopts calls a help formatter: one panel becomes a heading with names and texts side by side."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        from rich.table import Table
        from rich.text import Text

        if not panel.entries:
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for entry in panel.entries:
            names = entry.display_labels_with_metavar if panel.format == "parameter" else entry.display_labels
            table.add_row(Text("  " + ", ".join(names), style="cyan"), entry.description)
        console.print()
        console.print(Text(f"{panel.title}:", style="bold"))
        console.print(table)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """`Usage: ...`, without the line feeds that cyclopts puts around it."""
        console.print(f"Usage: {str(usage).strip().removeprefix('Usage: ')}", highlight=False, markup=False)

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """The text, which brings its own lines."""
        with console.capture() as captured:
            console.print(description)
        console.print()
        console.print(captured.get().strip("\n"), highlight=False, markup=False)
