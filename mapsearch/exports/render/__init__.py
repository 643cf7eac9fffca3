"""From an `ExportSource` to the text of files, one module per target; nothing here imports torch."""
