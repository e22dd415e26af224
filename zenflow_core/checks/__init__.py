"""One concern of validation a file. Each adds its findings to a `Report`; `validation.examine` calls them in turn."""
